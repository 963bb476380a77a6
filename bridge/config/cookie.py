"""Where the cluster's cookie comes from: cookie_file, environment, vm_args, then ~/.erlang.cookie, as Erlang has it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.config.secrets import exposed, read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.model import BridgeSection
    from bridge.config.vm_args import VmArgs
    from bridge.secret import Secret

COOKIE_FORBIDDEN: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""0400, 0600 and 0440 (what fsGroup of Kubernetes makes) pass; others must not read it, the group must not write."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie and where it was found."""

    secret: Secret
    origin: str
    path: Path | None = None
    """Its file, where it has one."""


def find_cookie(bridge: BridgeSection, vm_args: VmArgs | None, environ: Mapping[str, str]) -> Cookie:
    """The cookie from the strongest source that has one.

    Raises:
        ConfigError: no source has one, or its file is unreadable or open to others.
    """
    if bridge.cookie_file:
        return _from_file(Path(bridge.cookie_file), "bridge.cookie_file")
    if bridge.cookie:
        return Cookie(bridge.cookie, "environment MONGOOSEIM_BRIDGE_COOKIE")
    if vm_args and vm_args.cookie:
        return Cookie(vm_args.cookie, f"-setcookie in {bridge.vm_args}", Path(str(bridge.vm_args)))
    for path in _own_files(environ):
        if path.exists():
            return _from_file(path, "cookie")
    remedy = "set bridge.cookie_file, MONGOOSEIM_BRIDGE_COOKIE or bridge.vm_args, or put it into ~/.erlang.cookie"
    raise ConfigError([Problem("", "bridge.cookie_file", "there is no cookie", remedy)])


def _own_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    yield home / ".erlang.cookie"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "erlang" / ".erlang.cookie"


def _from_file(path: Path, key: str) -> Cookie:
    if reason := exposed(path, COOKIE_FORBIDDEN):
        raise ConfigError([Problem(str(path), key, f"the cookie file {reason}", f"run: chmod 0400 {path}")])
    return Cookie(read_secret(path, key), str(path), path)
