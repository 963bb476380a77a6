"""TLS of the distribution from the settings: `[bridge.tls]`, else what the installation's vm.args say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UnsetType

from bridge.config.errors import ConfigError, Problem
from bridge.config.tls_args import from_optfile, from_words
from bridge.erlang.tls import TlsOptions, TlsSetupError, client_context

if TYPE_CHECKING:
    from bridge.config.load import Loaded
    from bridge.config.model import Tls
    from bridge.config.vm_args import VmArgs

KEY = "bridge.tls"


def dist_tls(loaded: Loaded, vm_args: VmArgs | None) -> TlsOptions | None:
    """The TLS options of the distribution; None for a cluster that speaks plain TCP.

    Raises:
        ConfigError: a file is missing, unreadable or not PEM, or key and certificate do not belong together.
    """
    section = loaded.settings.bridge.tls
    where = loaded.origins.get("bridge.vm_args", "")
    try:
        if not isinstance(section, UnsetType):
            where = next((place for key, place in loaded.origins.items() if key.startswith(KEY + ".")), "")
            found = _from_section(section)
        elif vm_args and vm_args.tls:
            found = from_words(vm_args.words)
        else:
            return None
        client_context(found)
    except TlsSetupError as error:
        raise ConfigError([Problem(where, KEY, error.what, error.remedy)]) from error
    return found


def _from_section(section: Tls) -> TlsOptions:
    if section.optfile:
        return from_optfile(Path(section.optfile))
    return TlsOptions(
        _path(section.cacertfile),
        _path(section.certfile),
        _path(section.keyfile),
        verify=section.verify,
        check_hostname=section.check_hostname,
    )


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None
