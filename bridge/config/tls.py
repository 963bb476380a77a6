"""TLS of the distribution from the settings: `[bridge.tls]`, else what the installation's vm.args say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UnsetType

from bridge.config.errors import ConfigError, Problem
from bridge.erlang.tls import TlsOptions

if TYPE_CHECKING:
    from bridge.config.load import Loaded
    from bridge.config.model import Tls
    from bridge.config.vm_args import VmArgs


def tls_options(loaded: Loaded, vm_args: VmArgs | None) -> TlsOptions | None:
    """The TLS options of the distribution; None for a cluster that speaks plain TCP.

    Raises:
        ConfigError: a file that is named does not exist or cannot be read.
    """
    section = loaded.settings.bridge.tls
    return None if isinstance(section, UnsetType) else _from_section(section, loaded)


def _from_section(section: Tls, loaded: Loaded) -> TlsOptions:
    problems = []
    files: dict[str, Path | None] = {}
    for name in ("cacertfile", "certfile", "keyfile"):
        given: str | None = getattr(section, name)
        files[name] = Path(given) if given else None
        key = f"bridge.tls.{name}"
        if given and not Path(given).is_file():
            problems.append(Problem(loaded.origins.get(key, ""), key, f"there is no file {given}"))
    if problems:
        raise ConfigError(problems)
    return TlsOptions(
        files["cacertfile"],
        files["certfile"],
        files["keyfile"],
        verify=section.verify,
        check_hostname=section.check_hostname,
    )
