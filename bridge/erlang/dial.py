"""From a node's name to an open connection: resolve the host, ask EPMD, connect, shake hands.

Each phase has a deadline and errors of its own. An observer is told what each phase saw when it has succeeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.erlang import epmd
from bridge.erlang.errors import (
    COOKIE,
    EPMD,
    HANDSHAKE,
    HOST,
    PORT,
    TLS,
    CertificateError,
    ConnectError,
    EtfError,
    NoEpmd,
    PhaseTimeout,
    PortRefused,
    TlsNotExpected,
    UnknownNode,
    UnresolvableHost,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bridge.erlang.connection import Connection
    from bridge.erlang.names import NodeName

    Observer = Callable[[str, str], None]
    """Takes a phase that has succeeded, one of `bridge.erlang.errors.PHASES`, and what it saw."""

_T = TypeVar("_T")

PHASE_TIMEOUT: Final = 4.0
"""Seconds for each phase: look-up, EPMD, connect, TLS, handshake. OTP's own net_setuptime is 7 s for all."""
PROBE_TIMEOUT: Final = 0.5
EPMD_ANSWER_LIMIT: Final = 1_000_000
_NO_MESSAGE: Final = b"\0\1?"


class Dial:
    """One attempt to connect to a node."""

    def __init__(
        self,
        node: NodeName,
        epmd_port: int,
        make: Callable[[], Connection],
        *,
        context: ssl.SSLContext | None = None,
        observe: Observer | None = None,
    ) -> None:
        """Prepare an attempt.

        Args:
            node: whom to call.
            epmd_port: the port of its EPMD.
            make: gives a new connection, its handshake ready to begin.
            context: for TLS.
            observe: is told of each phase.
        """
        self.phase = HOST
        """The present phase."""
        self._node = node
        self._name = str(node)
        self._epmd_port = epmd_port
        self._make = make
        self._context = context
        self._observe = observe or (lambda _phase, _seen: None)

    async def run(self) -> Connection:
        """Connect, and give the connection when its handshake is done.

        Raises:
            ConnectError: one class per cause; of the last address tried, where a host has several.
        """
        addresses = await self._resolve()
        port = self._node.port or 0
        if not port:
            # the address that answered comes first; a node may listen on another one all the same
            answered, port = await self._first(addresses, EPMD, f"EPMD at port {self._epmd_port}", self._look_up)
            addresses.sort(key=lambda ip: ip != answered)
        what = f"connecting to port {port}"
        address, connected = await self._first(addresses, PORT, what, lambda ip: self._open(ip, port))
        self._observe(PORT, f"port {port} takes connections")
        connection = await self._begin(connected, address, port)
        await self._shake(connection)
        return connection

    @contextlib.asynccontextmanager
    async def _within(self, phase: str, what: str, part: int = 1) -> AsyncIterator[None]:
        """The time that there is for a phase, or for a part of it."""
        self.phase = phase
        try:
            async with asyncio.timeout(PHASE_TIMEOUT / part):
                yield
        except TimeoutError as error:
            late = f"{what} took more than {PHASE_TIMEOUT:g} s"
            raise PhaseTimeout(self._name, late, phase=phase) from error

    async def _first(
        self, addresses: list[str], phase: str, what: str, attempt: Callable[[str], Awaitable[_T]]
    ) -> tuple[str, _T]:
        """The first address at which an attempt succeeds, and what that gives."""
        failures: list[ConnectError] = []
        for ip in addresses:
            try:
                async with self._within(phase, what, len(addresses)):
                    return ip, await attempt(ip)
            except ConnectError as failure:
                failures.append(failure)
        raise next((failure for failure in failures if isinstance(failure, UnknownNode)), failures[-1])

    async def _resolve(self) -> list[str]:
        host = self._node.host
        async with self._within(HOST, f"the look-up of {host}"):
            try:
                infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                raise UnresolvableHost(self._name, host) from error
        addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        self._observe(HOST, host if addresses == [host] else f"{host} is {', '.join(addresses)}")
        return addresses

    async def _look_up(self, ip: str) -> int:
        """Ask the EPMD of an address for the node's port."""
        where = f"port {self._epmd_port} of {ip}"
        try:
            answer = epmd.read_port(await _ask(ip, self._epmd_port, epmd.port_please(self._node.name)))
        except EtfError as error:
            raise NoEpmd(self._name, f"{where}: another program answers") from error
        except OSError as error:
            raise NoEpmd(self._name, where) from error
        if answer is None:
            listed: list[str] = []
            with contextlib.suppress(OSError, EtfError):
                listed = epmd.read_names(await _ask(ip, self._epmd_port, epmd.names_please()))
            names = f"it lists {', '.join(listed[:8])}" if listed else "it lists no node at all"
            raise UnknownNode(self._name, names)
        self._observe(EPMD, f"{self._node.name} is registered at {where}")
        return answer

    async def _open(self, ip: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        connected = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            connected.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connected, (ip, port))
        except BaseException as error:
            connected.close()
            if isinstance(error, OSError):
                raise PortRefused(self._name, f"port {port}: {error.strerror or error}") from error
            raise
        return connected

    async def _begin(self, connected: socket.socket, ip: str, port: int) -> Connection:
        """Speak TLS, if need be, and begin the handshake."""
        create = asyncio.get_running_loop().create_connection
        if not self._context:
            return (await create(self._make, sock=connected))[1]
        import ssl  # noqa: PLC0415 - only TLS clusters pay for it

        try:
            async with self._within(TLS, f"TLS at port {port}"):
                made = create(self._make, sock=connected, ssl=self._context, server_hostname=self._node.host)
                _, connection = await made
        except PhaseTimeout as late:
            if await _speaks_plainly(ip, port):
                detail = "it closes on what no node says, where TLS would answer"
                raise TlsNotExpected(self._name, detail) from late
            raise
        except ssl.SSLCertVerificationError as error:
            raise CertificateError(self._name, error.verify_message) from error
        except OSError as error:
            if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
                raise CertificateError(self._name, f"it answered {error.reason}") from error
            raise TlsNotExpected(self._name, f"TLS handshake: {error.strerror or error}") from error
        self._observe(TLS, "both sides speak TLS and trust each other")
        return connection

    async def _shake(self, connection: Connection) -> None:
        taken = "the node takes our name, flags and protocol version"
        try:
            async with self._within(HANDSHAKE, "handshake"):
                await connection.shaken()
        except ConnectError as error:
            if error.phase == COOKIE:
                self._observe(HANDSHAKE, taken)
            raise
        finally:
            if not connection.agreed:
                connection.abort()
        self._observe(HANDSHAKE, taken)
        self._observe(COOKIE, "it is the same as the node's")


async def _ask(ip: str, port: int, request: bytes) -> bytes:
    """All that is said until the other side closes, as an EPMD does after its answer."""
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        writer.write(request)
        answer = b""
        while len(answer) < EPMD_ANSWER_LIMIT and (piece := await reader.read(65_536)):
            answer += piece
        return answer
    finally:
        writer.close()
        writer.transport.abort()


async def _speaks_plainly(ip: str, port: int) -> bool:
    """Whether a port is that of a node without TLS, which keeps silent on a TLS greeting but closes on nonsense."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await _ask(ip, port, _NO_MESSAGE) == b""
    return False
