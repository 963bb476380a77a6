"""Node names: `name@host`, with a port where there is no EPMD, short or long."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from bridge.erlang.errors import BadNodeName

_NAME: Final = re.compile(
    r"(?P<name>[^@:\s/]{1,128})@"
    r"(?:(?P<ipv6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
    r"|(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:\s/\[\]]{1,255})(?::(?P<port>\d{1,5}))?)"
)


class NodeName(NamedTuple):
    """A node's name, taken apart; `str` gives it as Erlang has it, without the port."""

    name: str
    host: str
    port: int | None = None
    """The distribution port, where EPMD is not to be asked."""

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> NodeName:
        """Take `name@host` or `name@host:port` apart; an IPv6 address goes in brackets before a port.

        Raises:
            BadNodeName: any other form, and what is not printable ASCII, which nodes refuse in the handshake.
        """
        if not (text.isascii() and text.isprintable()):
            raise BadNodeName(f"{text!r} is not a node name", "nodes refuse names with other than ASCII letters")
        match = _NAME.fullmatch(text)
        port = int(match["port"]) if match and match["port"] else None
        if not match or (port is not None and not 0 < port < 65_536):
            raise BadNodeName(f"{text!r} is not a node name", "it should be name@host or name@host:port")
        return cls(match["name"], match["ipv6"] or match["host"].strip("[]"), port)

    @property
    def long(self) -> bool:
        """Whether this is a long name (`-name`): its host has a dot, or is an IPv6 address."""
        return "." in self.host or ":" in self.host

    def __str__(self) -> str:
        return f"{self.name}@{self.host}"


def check_style(own: NodeName, peer: NodeName) -> None:
    """Short and long names cannot talk; find out before connecting.

    Raises:
        BadNodeName: one is short and the other long; the message says which one is needed.
    """
    if own.long != peer.long:
        needed = "a long name (-name, a host with a dot)" if peer.long else "a short name (-sname, a host without dots)"
        raise BadNodeName(f"{own} cannot talk to {peer}: short and long names do not mix", f"give the bridge {needed}")
