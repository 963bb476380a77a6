"""Where the cluster's cookie comes from: cookie_file, environment, vm_args, then ~/.erlang.cookie, as Erlang has it."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import exposed, find, home, no_secret, read
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.config.model import BridgeSection
    from bridge.config.vm_args import VmArgs

COOKIE_FORBIDDEN: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""0400, 0600 and 0440 (what fsGroup of Kubernetes makes) pass; others must not read it, the group must not write."""

_VARIABLE: Final = "environment MONGOOSEIM_BRIDGE_COOKIE"
_COOKIE: Final = re.compile(rb"([ -~]{1,255})[\r\n ]*")
"""As Erlang's kernel reads its file: blanks belong to the cookie, except behind a line's end."""


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
        path = Path(bridge.cookie_file)
        return _from_file(path, "bridge.cookie_file", read(path, "bridge.cookie_file"))
    if bridge.cookie:
        return Cookie(bridge.cookie, _VARIABLE)
    if vm_args and vm_args.cookie is not None:
        return Cookie(vm_args.cookie, f"-setcookie in {bridge.vm_args}", Path(str(bridge.vm_args)))
    for path in own_files(environ):
        if (data := find(path, "cookie")) is not None:
            return _from_file(path, "cookie", data)
    remedy = "set bridge.cookie_file, MONGOOSEIM_BRIDGE_COOKIE or bridge.vm_args, or put it into ~/.erlang.cookie"
    raise ConfigError([Problem("", "bridge.cookie_file", "there is no cookie", remedy)])


def own_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where Erlang looks for this user's cookie."""
    own = home(environ)
    if own is not None:
        yield own / ".erlang.cookie"
        yield Path(environ.get("XDG_CONFIG_HOME") or own / ".config") / "erlang" / ".erlang.cookie"


def _from_file(path: Path, key: str, data: bytes) -> Cookie:
    if problem := exposed(path, key, COOKIE_FORBIDDEN):
        raise ConfigError([problem])
    if not data and path.is_fifo():
        remedy = "name a file that can be read again, or restart instead of reloading"
        raise ConfigError([Problem(str(path), key, "is a pipe, which has been read before", remedy)])
    cookie = _COOKIE.fullmatch(data)
    if not cookie or cookie[1].isspace():
        raise ConfigError([no_secret(str(path), key)])
    return Cookie(Secret(cookie[1].decode()), str(path), path)
