"""EPMD's protocol: requests and answers as bytes, without I/O.

Source: "EPMD Protocol" in the Erlang Distribution Protocol chapter of the ERTS User's Guide.
"""

from __future__ import annotations

import os
import re
from struct import Struct, error
from typing import Final, NamedTuple

from bridge.erlang.errors import EtfError

DEFAULT_PORT: Final = 4369
DISTRIBUTION_VERSION: Final = 6
_NAMES_REQ, _PORT_PLEASE2_REQ, _PORT2_RESP = 110, 122, 119

_PORT2: Final = Struct(">HBBHH")
_LISTED: Final = re.compile(r"name (\S{1,255}) at port \d")


class NodePort(NamedTuple):
    """What EPMD knows of a node: its port and the range of protocol versions it speaks."""

    port: int
    highest: int
    lowest: int


def epmd_port() -> int:
    """The port of EPMD: ERL_EPMD_PORT, or 4369."""
    text = os.environ.get("ERL_EPMD_PORT", "")
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


def read_names(answer: bytes) -> list[str]:
    """NAMES_RESP, whole (EPMD closes after it): the names of all nodes, without host.

    Raises:
        EtfError: not an answer of EPMD.
    """
    if len(answer) < 4:
        raise EtfError("that is not an answer of EPMD")
    return sorted(_LISTED.findall(answer[4:].decode(errors="replace")))  # after the port of EPMD itself


def _request(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body
