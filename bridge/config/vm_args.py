"""What a MongooseIM installation's `vm.args` and `vm.dist.args` say of its distribution.

`mongooseimctl` reads exactly these two files: name, cookie, TLS options and ports come from here, so that the
bridge can be pointed at them instead of repeating them.
"""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIST_FILE: Final = "vm.dist.args"


@dataclass(frozen=True, slots=True)
class VmArgs:
    """The flags that matter to a peer. `dist_args` are all words, for the TLS options of the distribution."""

    node: str | None = None
    cookie: Secret | None = None
    tls: bool = False
    epmd_port: int | None = None
    words: tuple[str, ...] = field(default=(), repr=False)


def read_vm_args(path: Path) -> VmArgs:
    """Read `vm.args` and, where it exists beside it, `vm.dist.args`; later flags win, as in `erl`.

    Raises:
        ConfigError: `vm.args` cannot be read or has an open quote.
    """
    words = list(_words(path))
    if (dist := path.with_name(DIST_FILE)).exists() and dist != path:
        words.extend(_words(dist))
    flags: dict[str, str] = dict(zip(words, [*words[1:], ""], strict=True))
    cookie = flags.get("-setcookie")
    port = flags.get("-erl_epmd_port", "")
    return VmArgs(
        node=_node(flags.get("-sname"), flags.get("-name")),
        cookie=Secret(cookie) if cookie else None,
        tls=flags.get("-proto_dist", "").endswith("_tls"),
        epmd_port=int(port) if port.isdigit() else None,
        words=tuple(words),
    )


def _words(path: Path) -> Iterator[str]:
    try:
        yield from shlex.split(path.read_text(encoding="utf-8"), comments=True)
    except OSError as error:
        what, remedy = f"cannot be read: {error.strerror}", "it is etc/vm.args of the MongooseIM installation"
        raise ConfigError([Problem(str(path), "bridge.vm_args", what, remedy)]) from error
    except ValueError as error:
        raise ConfigError([Problem(str(path), "bridge.vm_args", f"is not a vm.args file: {error}")]) from error


def _node(sname: str | None, name: str | None) -> str | None:
    """The node's full name; one without a host gets this host's short or full name, as mongooseimctl does it."""
    given = sname or name
    if not given or "@" in given:
        return given or None
    host = socket.gethostname().split(".")[0] if sname else socket.getfqdn()
    return f"{given}@{host}"
