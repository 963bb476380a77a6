"""A hidden node: connections on demand, calls to many nodes, and an answer to whoever calls it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

from bridge.erlang import epmd, guest
from bridge.erlang.connection import Connection
from bridge.erlang.dial import Dial
from bridge.erlang.errors import BadNodeName, ErlangError
from bridge.erlang.etf_decode import DEFAULT_LIMITS, Limits
from bridge.erlang.handshake import Acceptor, Initiator
from bridge.erlang.listener import Listener
from bridge.erlang.names import NodeName, check_style
from bridge.erlang.peer import Peer
from bridge.erlang.terms import Atom
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

REQUESTS: Final = 100
"""Requests of peers that are handled at once; the callers of more exit with `overload`."""


class Node:
    """A hidden Erlang node. `async with Node(...)` closes its connections at the end.

    With `name` None each peer lends a name: nothing is left behind in it, however often the program runs.
    """

    def __init__(
        self,
        name: str | None,
        cookie: Secret,
        *,
        epmd_port: int | None = None,
        tls: TlsOptions | None = None,
        tls_server: TlsOptions | None = None,
        limits: Limits = DEFAULT_LIMITS,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Prepare a node; no connection is made before the first call.

        Args:
            name: `name@host`, or None to be lent one by each peer.
            cookie: the cluster's cookie.
            epmd_port: EPMD's port on every host; ERL_EPMD_PORT or 4369 by default.
            tls: TLS options of a cluster with `-proto_dist inet_tls`.
            tls_server: those of the listening side, if they are others.
            limits: of the terms that peers send.
            environ: the environment, for ERL_EPMD_PORT.

        Raises:
            BadNodeName: `name` cannot be a node's name.
        """
        self._name = NodeName.parse(name) if name else None
        self._creation = secrets.randbits(32) | 4  # 0 to 3 are those of old nodes
        self._cookie = cookie
        self._epmd_port = epmd_port or epmd.epmd_port(environ)
        self._tls = tls
        self._tls_server = tls_server or tls
        self._limits = limits
        self._context: ssl.SSLContext | None = None
        self._peers: dict[str, Peer] = {}
        self._known: dict[NodeName | str, Peer] = {}
        self._handlers: dict[str, Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: Listener | None = None

    @property
    def name(self) -> str | None:
        """Our name; None where each peer lends one."""
        return str(self._name) if self._name else None

    @property
    def creation(self) -> int:
        """Which life of our name this is; the EPMD gives it when we listen."""
        return self._creation

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening and close every connection; calls in flight fail with NodeDown."""
        if self._listener:
            await self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in list(self._peers.values()):
            await peer.close()
        await asyncio.sleep(0)  # lets asyncio close the sockets

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
        to = self._known.get(peer) or self._peer(peer)
        connection = to.connection or await to.connected(deadline)
        return await connection.call(module, function, list(args), timeout, deadline)

    async def call_many(
        self,
        peers: Sequence[NodeName | str],
        module: str,
        function: str,
        args: Sequence[Term],
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> dict[NodeName | str, Term | ErlangError]:
        """Call a function in many nodes at once; each has its result or its error when the slowest is done."""

        async def one(peer: NodeName | str) -> Term | ErlangError:
            try:
                return await self.call(peer, module, function, args, timeout=timeout)
            except ErlangError as error:
                return error

        return dict(zip(peers, await asyncio.gather(*map(one, peers)), strict=True))

    async def connect(self, peer: NodeName | str, *, timeout: float) -> None:  # noqa: ASYNC109
        """Connect to a node, if there is no connection yet.

        Raises:
            BadNodeName, ConnectError: as for `call`.
        """
        await self._peer(peer).connected(asyncio.get_running_loop().time() + timeout)

    def incarnation(self, peer: NodeName | str) -> int | None:
        """The creation of a connected peer, which differs in each life of that node; None where it is not connected."""
        known = self._peers.get(str(peer)) or self._known.get(peer)
        agreed = known.connection.agreed if known and known.connection else None
        return agreed.peer_creation if agreed else None

    def known_as(self, peer: NodeName | str) -> str | None:
        """The name by which a connected peer knows us: our own, or the one that it lent us."""
        known = self._peers.get(str(peer)) or self._known.get(peer)
        agreed = known.connection.agreed if known and known.connection else None
        return agreed.own_name if agreed else None

    def connected(self) -> list[str]:
        """The names of the peers that are connected."""
        return [name for name, peer in self._peers.items() if peer.connection]

    def forget(self) -> None:
        """Forget the peers that are not connected, and with them how long to wait before trying them again.

        For a program with a rhythm of its own; the names of nodes that are no more would otherwise be kept for ever.
        """
        self._peers = {name: peer for name, peer in self._peers.items() if not peer.idle}
        self._known = {name: peer for name, peer in self._known.items() if not peer.idle}

    # connections

    def _peer(self, peer: NodeName | str) -> Peer:
        to = peer if isinstance(peer, NodeName) else NodeName.parse(peer)
        found = self._remembered(to)
        if to.port:
            found.name = to
        found.called = True
        self._known[peer] = found
        return found

    def _remembered(self, name: NodeName) -> Peer:
        return self._peers.setdefault(str(name), Peer(name, self._dial))

    def _dial(self, to: NodeName) -> Dial:
        own = self._name
        if own:
            check_style(own, to)
            if str(own) == str(to):
                raise BadNodeName(f"{own} is the bridge's own name; give it another one with --name")

        def make() -> Connection:
            name = str(own) if own else _own_host(long=to.long)
            creation = self._creation if own else None
            machine = Initiator(str(to), name, creation, self._cookie, secrets.randbits(32))
            return self._connection(str(to), machine)

        return Dial(to, self._epmd_port, make, self._client_context())

    def _connection(
        self, name: str, machine: Initiator | Acceptor, on_ready: Callable[[Connection], None] | None = None
    ) -> Connection:
        return Connection(
            name,
            machine,
            tls=self._tls is not None,
            on_request=self._requested,
            on_lost=self._lost,
            on_ready=on_ready,
            registered=self._handlers.keys(),
            limits=self._limits,
        )

    def _client_context(self) -> ssl.SSLContext | None:
        if self._tls and self._context is None:
            from bridge.erlang.tls import client_context  # noqa: PLC0415 - only TLS clusters pay for it

            self._context = client_context(self._tls)
        return self._context

    def _lost(self, connection: Connection) -> None:
        if self._listener:
            self._listener.forget(connection)
        peer = self._peers.get(connection.peer)
        if peer:
            peer.lose(connection)
            if not peer.called and not peer.connection:
                del self._peers[connection.peer]

    # the listening side

    async def listen(self, host: str | None, port: int = 0, *, publish: bool = True) -> int:
        """Take connections from peers, so that they can ping and call us first.

        Args:
            host: the address to listen on, as "127.0.0.1" or "::1"; None is every address, as `erl` does it.
            port: the port, or 0 for a free one.
            publish: whether the EPMD of this host is told, and told again after it restarts.

        Returns:
            The port.

        Raises:
            BadNodeName: the node has no name of its own.
            NameConflict: another node of this host is registered under our name.
            NotRegistered: no EPMD answers on this host.
            OSError: the address cannot be listened on.
        """
        if not self._name:
            raise BadNodeName("a node that listens needs a name of its own; give it one with --name")
        context = None
        if self._tls and self._tls_server:
            from bridge.erlang.tls import server_context  # noqa: PLC0415 - only TLS clusters pay for it

            context = server_context(self._tls_server)
        self._listener = Listener(self._name, self._answering, context)
        try:
            await self._listener.open(host, port)
            if publish:
                self._creation = await self._listener.register(self._epmd_port)
        except BaseException:
            await self._listener.close()
            self._listener = None
            raise
        return self._listener.port

    def _answering(self) -> Connection:
        machine = Acceptor(str(self._name), self._creation, self._cookie, secrets.randbits(32), self._status)
        return self._connection("a peer", machine, on_ready=self._accepted)

    def _status(self, name: str) -> str:
        """What a peer hears that connects to us: who connects at the same time yields to the greater name."""
        peer = self._peers.get(name)
        if peer and peer.connection:
            return "alive"
        if peer and peer.shaking:
            if str(self._name) > name:
                return "nok"
            peer.yield_to_it()
            return "ok_simultaneous"
        return "ok"

    def _accepted(self, connection: Connection) -> None:
        log.debug(Line("node_accepted", node=connection.peer))
        try:
            self._remembered(NodeName.parse(connection.peer)).adopt(connection)
        except BadNodeName:
            connection.close()

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


def _own_host(*, long: bool) -> str:
    """The host part to be lent a name for; it is never checked, but its style must fit."""
    host = socket.gethostname()
    if long:
        return host if "." in host else f"{host or 'localhost'}.local"
    return host.split(".")[0] or "localhost"
