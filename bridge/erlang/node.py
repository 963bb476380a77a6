"""A hidden node that calls out: connections on demand, calls to many nodes, and an answer to whoever calls it back."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bridge.erlang import epmd, guest
from bridge.erlang.channel import Channel
from bridge.erlang.connection import Connection
from bridge.erlang.dial import Dial
from bridge.erlang.errors import BadNodeName
from bridge.erlang.handshake import Handshake
from bridge.erlang.names import NodeName, check_style
from bridge.erlang.peer import Peer
from bridge.erlang.terms import Atom
from bridge.erlang.tls import client_context
from bridge.log import Line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Self

    from bridge.erlang.dial import Observer
    from bridge.erlang.terms import Term
    from bridge.erlang.tls import TlsOptions
    from bridge.secret import Secret

    Handler = Callable[[Term], Awaitable[Term]]

log = logging.getLogger(__name__)

REQUESTS: Final = 100
"""Requests of peers that are handled at once; the callers of more exit with `overload`."""


class Node:
    """A hidden Erlang node. `async with Node(...)` closes its connections at the end.

    Nothing listens: peers call back over the connections that it has made. With `name` None each peer lends a name:
    nothing is left behind in it, however often the program runs.
    """

    def __init__(
        self,
        name: str | None,
        cookie: Secret,
        *,
        epmd_port: int | None = None,
        tls: TlsOptions | None = None,
        on_up: Callable[[str], None] | None = None,
        on_down: Callable[[str, str], None] | None = None,
    ) -> None:
        """Prepare a node; no connection is made before the first call.

        Args:
            name: `name@host`, or None to be lent one by each peer.
            cookie: the cluster's cookie.
            epmd_port: EPMD's port on every host; ERL_EPMD_PORT or 4369 by default.
            tls: TLS options of a cluster with `-proto_dist inet_tls`.
            on_up: called with the name of each peer that it has connected to.
            on_down: called with the name of each peer that it has lost, and the reason.

        Raises:
            BadNodeName: `name` cannot be a node's name.
        """
        self._name = NodeName.parse(name) if name else None
        self._creation = _random_word() | 4  # 0 to 3 are those of old nodes
        self._cookie = cookie
        self._epmd_port = epmd_port or epmd.epmd_port()
        self._tls = tls
        self._on_up = on_up
        self._on_down = on_down
        self._peers: dict[str, Peer] = {}
        self._handlers: dict[str, Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name_taken(self) -> bool:
        """Whether a peer has said that another program has our name."""
        return any(peer.taken for peer in self._peers.values())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; calls in flight fail with NodeDown, and their processes are killed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(peer.close() for peer in self._peers.values()))

    # calls

    async def call(
        self,
        peer: NodeName | str,
        module: str,
        function: str,
        args: Sequence[Term],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Term:
        """Call a function in a node, connecting to it first if need be.

        Args:
            peer: the node, `name@host` or `name@host:port`.
            module: the module's name.
            function: the function's name.
            args: its arguments, as terms.
            timeout: seconds for connecting and the call together.

        Raises:
            BadNodeName: `peer` cannot be a node's name, or is short where ours is long.
            ConnectError: no connection, one class per cause.
            CallError: connected, but no result.
            EtfError: an argument is no term.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        to = self._peer(peer)
        connection = to.connection or await to.connected(deadline)
        return await connection.call(module, function, list(args), timeout, deadline)

    async def connect(
        self,
        peer: NodeName | str,
        *,
        timeout: float,  # noqa: ASYNC109
        observe: Observer | None = None,
    ) -> None:
        """Connect to a node, if there is no connection yet.

        Args:
            peer: the node.
            timeout: seconds for it.
            observe: is told each phase of the attempt that has succeeded, and what it saw.

        Raises:
            BadNodeName, ConnectError: as for `call`; its `phase` is the one that failed.
        """
        await self._peer(peer).connected(asyncio.get_running_loop().time() + timeout, observe)

    def known_as(self, peer: NodeName | str) -> str | None:
        """The name by which a connected peer knows us: our own, or the one that it lent us."""
        connection = self._peer(peer).connection
        return connection.agreed.own_name if connection and connection.agreed else None

    def connected(self) -> list[str]:
        """The names of the peers that are connected."""
        return [name for name, peer in self._peers.items() if peer.connection]

    def forget(self) -> None:
        """Forget the peers that are not connected, and how long to wait before trying any of them again.

        For a program with a rhythm of its own; the names of nodes that are no more would otherwise be kept for ever.
        Where another program may have our name, that is not forgotten.
        """
        for name, peer in list(self._peers.items()):
            if peer.idle:
                peer.retry_now()
                if not peer.yields:
                    del self._peers[name]

    # connections

    def _peer(self, peer: NodeName | str) -> Peer:
        to = peer if isinstance(peer, NodeName) else NodeName.parse(peer)
        known = self._peers.get(str(to))
        if known is None:
            known = self._peers[str(to)] = Peer(to, self._dial, self._on_up, self._on_down)
        known.name = to  # with its port, or without one that was given before
        return known

    def _dial(self, peer: Peer, observe: Observer | None) -> Dial:
        own, to = self._name, peer.name
        if own:
            check_style(own, to)
            if str(own) == str(to):
                raise BadNodeName(f"{own} is the bridge's own name", "give it another one with --name")
        name, creation = (str(own), self._creation) if own else (_own_host(long=to.long), None)

        def make() -> Connection:
            cookie, challenge = self._cookie, _random_word()
            handshake = Handshake(str(to), name, creation, cookie, challenge, take_over=not peer.yields)
            now = asyncio.get_running_loop().time()
            registered = self._handlers.keys()
            channel = Channel(handshake, tls=self._tls is not None, now=now, registered=registered)
            return Connection(channel, self._requested, peer.lose)

        return Dial(to, self._epmd_port, make, context=self._context, observe=observe)

    @cached_property
    def _context(self) -> ssl.SSLContext | None:
        return client_context(self._tls) if self._tls else None

    # what peers ask of us

    def register(self, name: str, handler: Handler) -> None:
        """Answer `gen_server:call({name, Node}, Request)` of the peers with what `handler` returns.

        A handler that fails makes the caller exit with `bridge_error`; what failed is logged here.
        """
        self._handlers[name] = handler

    def _requested(self, connection: Connection, request: guest.Request) -> None:
        if len(self._tasks) >= REQUESTS:
            connection.send(guest.failed(request, Atom("overload")))
            return
        task = asyncio.get_running_loop().create_task(self._handle(connection, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, connection: Connection, request: guest.Request) -> None:
        try:
            result = await self._handlers[request.name](request.request)
            answer = guest.reply(request.caller, request.tag, result)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must not wait for it
            log.warning(Line("request_failed", name=request.name, node=connection.peer, error=type(error).__name__))
            answer = guest.failed(request, Atom("bridge_error"))
        connection.send(answer)


def _random_word() -> int:
    """32 random bits; the `secrets` module takes 3 ms to import."""
    return int.from_bytes(os.urandom(4), "big")


def _own_host(*, long: bool) -> str:
    """The host part to be lent a name for; it is never checked, but its style must fit."""
    host = socket.gethostname()
    if long:
        return host if "." in host else f"{host or 'localhost'}.local"
    return host.split(".")[0] or "localhost"
