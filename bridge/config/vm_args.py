"""What a MongooseIM installation's `vm.args` and `vm.dist.args` say of its distribution.

`mongooseimctl` gives exactly these two files to `erl -args_file`: name, cookie, TLS options and port come from here, so
that the bridge can be pointed at them instead of repeating them. They are read as OTP 25 and newer do; a test holds
both to each other.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import find, read
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

KEY: Final = "bridge.vm_args"
DIST_FILE: Final = "vm.dist.args"
LOOK_UP_SECONDS: Final = 1.0
"""How long this host's full name may be looked up; a silent name server would take a minute."""
_NESTED: Final = 10
_WORD: Final = re.compile(rb"""((?:\\.|"[^"]*"?|'[^']*'?|[^\s"'#\\])+)|\#[^\n]*|\\$|\s+""", re.DOTALL)
_PIECE: Final = re.compile(rb"""\\(.)|"([^"]*)"?|'([^']*)'?""", re.DOTALL)
"""A backslash takes the next character as it is, but not inside quotes, where nothing has a meaning."""


@dataclass(frozen=True, slots=True)
class VmArgs:
    """The flags that matter to a peer. `words` are all words, for the TLS options of the distribution."""

    node: str | None = None
    """name@host, or name@host:port for a node without EPMD."""
    cookie: Secret | None = None
    tls: bool = False
    words: tuple[str, ...] = field(default=(), repr=False)


def read_vm_args(path: Path) -> VmArgs:
    """Read `vm.args` and, where it exists beside it, `vm.dist.args`.

    Raises:
        ConfigError: one of them, or a file that it names by -args_file, cannot be read.
    """
    words = list(_expanded(path, read(path, KEY)))
    dist = path.with_name(DIST_FILE)
    if dist != path:
        words.extend(_expanded(dist, find(dist, KEY) or b""))
    flags = list(parse_flags(words))
    node, port = _node(flags)
    return VmArgs(
        node=f"{node}:{port}" if node and port else node,
        cookie=_cookie(flags, node),
        tls=any(name == "-proto_dist" and values[:1] and values[0].endswith("_tls") for name, values in flags),
        words=tuple(words),
    )


def parse_flags(words: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag with its values, as Erlang's `init` takes words apart; the emulator's own (+K true) are left out."""
    values: list[str] | None = None
    emulator = False
    for word in words:
        if word.startswith("+"):
            emulator = True
            continue
        if word == "--":
            values = None
        elif word.startswith("-"):
            values = []
            yield word, values
        elif values is not None and not emulator:
            values.append(word)
        emulator = False


def _expanded(path: Path, data: bytes, depth: int = 0) -> Iterator[str]:
    """The words of a file and of those that it names, up to `-extra`; the end of a file ends a flag."""
    words = _words(data)
    for word in words:
        if word == "-args_file" and (name := next(words, "")):
            if depth == _NESTED:
                raise ConfigError([Problem(str(path), KEY, "names itself by -args_file", "remove that line")])
            inner = path.parent / name  # an absolute name stays as it is
            yield from _expanded(inner, read(inner, KEY), depth + 1)
        elif word == "-extra":
            break
        else:
            yield word
    yield "--"


def _words(data: bytes) -> Iterator[str]:
    for match in _WORD.finditer(data):
        if match[1] is not None:
            plain = _PIECE.sub(lambda piece: piece[1] or piece[2] or piece[3] or b"", match[1])
            yield plain.decode(errors="surrogateescape")


def _cookie(flags: Sequence[tuple[str, list[str]]], node: str | None) -> Secret | None:
    """The cookie, if there is one only: with two Erlang takes that of its file.

    `-setcookie NODE COOKIE` is for another node, unless that is the node itself.
    """
    given = [values for name, values in flags if name == "-setcookie"]
    own = [values[1] for values in given if len(values) == 2 and values[0] == node]
    match [values for values in given if len(values) < 2]:
        case [[cookie]] if not own:
            return Secret(cookie)
    return Secret(own[0]) if len(own) == 1 else None


def _node(flags: Sequence[tuple[str, list[str]]]) -> tuple[str | None, str | None]:
    """The node's name, and its port where that takes the place of EPMD."""
    first = dict(reversed(flags))

    def value(flag: str) -> str | None:
        values = first.get(flag, [])
        return values[0] if len(values) == 1 else None

    given = value("-sname") or value("-name")
    if given and "@" not in given:  # as Erlang does it
        given = f"{given}@{host_name(long=not value('-sname'))}"
    return given, value("-erl_epmd_port")


def host_name(*, long: bool) -> str:
    """This host's name: up to the first dot, or in full as far as it can be found out in time."""
    host = socket.gethostname()
    if not long:
        return host.partition(".")[0]
    if "." not in host:
        from bridge.threads import DaemonExecutor  # noqa: PLC0415 - it needs asyncio, which `config show` has no use for

        with suppress(OSError, UnicodeError, TimeoutError):
            look_up = DaemonExecutor().submit(socket.getaddrinfo, host, None, flags=socket.AI_CANONNAME)
            return look_up.result(LOOK_UP_SECONDS)[0][3] or host
    return host
