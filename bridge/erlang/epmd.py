"""EPMD's protocol: requests and answers as bytes, without I/O.

Source: "EPMD Protocol" in the Erlang Distribution Protocol chapter of the ERTS User's Guide.
"""

from __future__ import annotations

import os
import re
from struct import Struct, error
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang.errors import EtfError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PORT: Final = 4369
HIDDEN: Final = 72
DISTRIBUTION_VERSION: Final = 6
_NAMES_REQ, _ALIVE2_REQ, _PORT_PLEASE2_REQ = 110, 120, 122
_ALIVE2_X_RESP, _PORT2_RESP, _ALIVE2_RESP = 118, 119, 121

_PORT2: Final = Struct(">HBBHH")
_ALIVE: Final = Struct(">BHBBHHH")
_LISTED: Final = re.compile(r"name (\S+) at port (\d+)")


class NodePort(NamedTuple):
    """What EPMD knows of a node: its port and the range of protocol versions it speaks."""

    port: int
    highest: int
    lowest: int


def epmd_port(environ: Mapping[str, str] = os.environ) -> int:
    """The port of EPMD: ERL_EPMD_PORT, or 4369."""
    text = environ.get("ERL_EPMD_PORT", "")
    return int(text) if text.isdigit() and 0 < int(text) < 65_536 else DEFAULT_PORT


def port_please(name: str) -> bytes:
    """PORT_PLEASE2_REQ: where does the node `name` (without host) listen?"""
    return _request(bytes([_PORT_PLEASE2_REQ]) + name.encode())


def read_port(answer: bytes) -> NodePort | None:
    """PORT2_RESP, whole (EPMD closes after it); None where EPMD knows no such node.

    Raises:
        EtfError: not an answer of EPMD.
    """
    if len(answer) < 2 or answer[0] != _PORT2_RESP:
        raise EtfError("that is not an answer of EPMD")
    if answer[1] != 0:
        return None
    try:
        port, _type, _protocol, highest, lowest = _PORT2.unpack_from(answer, 2)
    except error as short:
        raise EtfError("EPMD's answer is cut short") from short
    return NodePort(port, highest, lowest)


def names_please() -> bytes:
    """NAMES_REQ: which nodes are registered?"""
    return _request(bytes([_NAMES_REQ]))


def read_names(answer: bytes) -> dict[str, int]:
    """NAMES_RESP, whole (EPMD closes after it): every node's name, without host, and its port.

    Raises:
        EtfError: not an answer of EPMD.
    """
    if len(answer) < 4:
        raise EtfError("that is not an answer of EPMD")
    listed = answer[4:].decode(errors="replace")  # after the port of EPMD itself
    return {name: int(port) for name, port in _LISTED.findall(listed)}


def alive(name: str, port: int) -> bytes:
    """ALIVE2_REQ: register as a hidden node that listens on `port`; it holds while the socket is open."""
    raw = name.encode()
    fixed = _ALIVE.pack(_ALIVE2_REQ, port, HIDDEN, 0, DISTRIBUTION_VERSION, DISTRIBUTION_VERSION, len(raw))
    return _request(fixed + raw + b"\0\0")


def creation_size(head: bytes) -> int:
    """How many bytes follow the first two of an answer to ALIVE2_REQ that grants the name.

    Raises:
        EtfError: not an answer of EPMD.
    """
    if head[:1] not in {bytes([_ALIVE2_X_RESP]), bytes([_ALIVE2_RESP])}:
        raise EtfError("that is not an answer of EPMD")
    return 4 if head[0] == _ALIVE2_X_RESP else 2


def read_alive(answer: bytes) -> int | None:
    """The creation that EPMD gave, or None where the name is taken.

    Raises:
        EtfError: not an answer of EPMD.
    """
    size = creation_size(answer)
    if answer[1:2] != b"\0":
        return None
    if len(answer) != 2 + size:
        raise EtfError("EPMD's answer is cut short")
    return int.from_bytes(answer[2:], "big")


def _request(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body
