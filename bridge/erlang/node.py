"""A hidden node: connections on demand, calls to many nodes, and an answer to whoever calls it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

from bridge.erlang import dial, epmd, guest
from bridge.erlang.connection import Connection
from bridge.erlang.errors import BadNodeName, CallTimeout, ConnectError, ErlangError, NodeDown
from bridge.erlang.handshake import Initiator
from bridge.erlang.names import NodeName, check_style
from bridge.log import Line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from bridge.erlang.terms import Term
    from bridge.erlang.tls import TlsOptions
    from bridge.secret import Secret

    Handler = Callable[[Term], Awaitable[Term]]

log = logging.getLogger(__name__)

FIRST_BACKOFF: Final = 0.2
LONGEST_BACKOFF: Final = 10.0


class _Peer:
    """What is kept of a peer between calls: its connection, who is connecting, and when to try again."""

    __slots__ = ("backoff", "connection", "lock", "not_before")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.lock = asyncio.Lock()
        self.backoff = 0.0
        self.not_before = 0.0


class Node:
    """A hidden Erlang node. `async with Node(...)` closes its connections at the end.

    With `name` None the first peer lends a name: nothing is left behind in it, however often the program runs.
    """

    def __init__(
        self,
        name: str | None,
        cookie: Secret,
        *,
        epmd_port: int | None = None,
        tls: TlsOptions | None = None,
        creation: int | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Prepare a node; no connection is made before the first call.

        Args:
            name: `name@host`, or None to be lent one.
            cookie: the cluster's cookie.
            epmd_port: EPMD's port on every host; ERL_EPMD_PORT or 4369 by default.
            tls: TLS options of a cluster with `-proto_dist inet_tls`.
            creation: the creation that EPMD gave, for a registered node; else a random one is made.
            environ: the environment, for ERL_EPMD_PORT.
        """
        self._name = NodeName.parse(name) if name else None
        self._creation = creation or (secrets.randbits(32) | 4 if name else None)
        self._cookie = cookie
        self._epmd_port = epmd_port or epmd.epmd_port(environ)
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._peers: dict[str, _Peer] = {}
        self._naming = asyncio.Lock()
        self._handlers: dict[str, Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str | None:
        """Our name; None until a peer has lent one."""
        return str(self._name) if self._name else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; calls in flight fail with NodeDown."""
        for task in self._tasks:
            task.cancel()
        for peer in self._peers.values():
            if peer.connection:
                peer.connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets asyncio tell the connections

    def register(self, name: str, handler: Handler) -> None:
        """Answer `gen_server:call({name, Node}, Request)` from the peers with what `handler` returns."""
        self._handlers[name] = handler

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
            ConnectError: no connection, one class per cause.
            CallError: connected, but no result.
        """
        to = peer if isinstance(peer, NodeName) else NodeName.parse(peer)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._connected(to)
        except TimeoutError as error:
            raise CallTimeout(str(to), timeout) from error
        return await connection.call(module, function, list(args), deadline - loop.time())

    async def call_many(
        self,
        peers: Sequence[NodeName],
        module: str,
        function: str,
        args: Sequence[Term],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> dict[NodeName, Term | ErlangError]:
        """Call a function in many nodes at once; each has its result or its error when the slowest is done."""

        async def one(peer: NodeName) -> Term | ErlangError:
            try:
                return await self.call(peer, module, function, args, timeout=timeout)
            except ErlangError as error:
                return error

        return dict(zip(peers, await asyncio.gather(*map(one, peers)), strict=True))

    # connections

    async def _connected(self, to: NodeName) -> Connection:
        peer = self._peers.setdefault(str(to), _Peer())
        async with peer.lock:
            if peer.connection:
                return peer.connection
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, peer.not_before - loop.time()))
            try:
                peer.connection = await self._connect(to)
            except ConnectError:
                peer.backoff = min(LONGEST_BACKOFF, 2 * peer.backoff or FIRST_BACKOFF)
                peer.not_before = loop.time() + peer.backoff
                raise
            peer.backoff = 0.0
            return peer.connection

    async def _connect(self, to: NodeName) -> Connection:
        if self._name:
            return await self._dial(to, self._name)
        async with self._naming:  # only the first connection borrows a name; the others wait and use it
            return await self._dial(to, self._name)

    async def _dial(self, to: NodeName, own: NodeName | None) -> Connection:
        if own:
            check_style(own, to)
            if str(own) == str(to):
                raise BadNodeName(f"{own} is the bridge's own name; give it another one with --name")
        where = await dial.addresses(to, self._epmd_port)
        host = own or NodeName("", _own_host(long=to.long))

        def make() -> Connection:
            machine = Initiator(
                str(to),
                str(own) if own else host.host,
                self._creation if own else None,
                self._cookie,
                secrets.randbits(32),
            )
            return Connection(
                str(to),
                machine,
                tls=self._tls is not None,
                on_request=self._requested,
                on_lost=lambda lost: self._lost(str(to), lost),
                registered=self._handlers.keys(),
            )

        connection = await dial.connect(to, where, make, self._tls_context())
        assert connection.agreed
        log.debug(Line("node_connected", node=to, own_name=connection.agreed.own_name))
        if not own:
            self._name = NodeName.parse(connection.agreed.own_name)
            self._creation = connection.agreed.own_creation
        return connection

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._tls and self._context is None:
            from bridge.erlang.tls import client_context  # noqa: PLC0415 - only TLS clusters pay for it

            self._context = client_context(self._tls)
        return self._context

    def _lost(self, name: str, connection: Connection) -> None:
        peer = self._peers.get(name)
        if peer and peer.connection is connection:
            peer.connection = None
            log.debug(Line("node_disconnected", node=name))

    # calls from peers

    def _requested(self, connection: Connection, request: guest.Request) -> None:
        task = asyncio.get_running_loop().create_task(self._handle(connection, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, connection: Connection, request: guest.Request) -> None:
        result = await self._handlers[request.name](request.request)
        try:
            connection.send(guest.reply(request.caller, request.tag, result))
        except NodeDown:
            log.debug(Line("answer_dropped", node=connection.peer))


def _own_host(*, long: bool) -> str:
    """The host part to be lent a name for; it is never checked, but its style must fit."""
    if not long:
        return socket.gethostname().split(".")[0] or "localhost"
    full = socket.gethostname()
    return full if "." in full else f"{full or 'localhost'}.local"
