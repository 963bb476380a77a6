"""A hidden Erlang node: distribution protocol, EPMD, external term format, TLS and remote calls.

    async with Node(None, Secret("cookie")) as node:
        await node.call("mongooseim@localhost", "erlang", "node", [], timeout=5)

docs/erlang-node.md is its own page. The names below are the library; importing it does not import asyncio or ssl,
which takes longer than starting Python: `Node` comes when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.erlang.errors import (
    CallError,
    CallTimeout,
    ConnectError,
    ErlangError,
    EtfError,
    NodeDown,
    RemoteError,
    retryable,
)
from bridge.erlang.etf_decode import Limits, binary_to_term
from bridge.erlang.etf_encode import term_to_binary
from bridge.erlang.names import NodeName
from bridge.erlang.terms import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference, Term
from bridge.erlang.tls import TlsOptions

if TYPE_CHECKING:
    from bridge.erlang.node import Node

__all__ = [
    "Atom",
    "BitString",
    "CallError",
    "CallTimeout",
    "ConnectError",
    "ErlangError",
    "EtfError",
    "Export",
    "Fun",
    "ImproperList",
    "Limits",
    "Map",
    "Node",
    "NodeDown",
    "NodeName",
    "Pid",
    "Port",
    "Reference",
    "RemoteError",
    "Term",
    "TlsOptions",
    "binary_to_term",
    "retryable",
    "term_to_binary",
]


def __getattr__(name: str) -> object:
    if name == "Node":
        from bridge.erlang.node import Node  # noqa: PLC0415 - see above

        return Node
    raise AttributeError(name)
