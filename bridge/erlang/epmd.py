"""EPMD's protocol: requests and answers as bytes, without I/O.

Source: "EPMD Protocol" in the Erlang Distribution Protocol chapter of the ERTS User's Guide.
"""

from __future__ import annotations

import os
import re
from typing import Final

from bridge.erlang.errors import EtfError

DEFAULT_PORT: Final = 4369
_NAMES_REQ, _PORT_PLEASE2_REQ, _PORT2_RESP = 110, 122, 119

_LISTED: Final = re.compile(r"name (\S{1,255}) at port \d")


def epmd_port() -> int:
    """The port of EPMD: ERL_EPMD_PORT, or 4369."""
    text = os.environ.get("ERL_EPMD_PORT", "")
    return int(text) if text.isdigit() and 0 < int(text) < 65_536 else DEFAULT_PORT


def port_please(name: str) -> bytes:
    """PORT_PLEASE2_REQ: where does the node `name` (without host) listen?"""
    return _request(bytes([_PORT_PLEASE2_REQ]) + name.encode())


def read_port(answer: bytes) -> int | None:
    """PORT2_RESP, whole (EPMD closes after it): the node's port; None where EPMD knows no such node.

    Raises:
        EtfError: not an answer of EPMD.
    """
    if len(answer) < 2 or answer[0] != _PORT2_RESP:
        raise EtfError("that is not an answer of EPMD")
    if answer[1] != 0:
        return None
    if len(answer) < 4:
        raise EtfError("EPMD's answer is cut short")
    return int.from_bytes(answer[2:4], "big")


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
