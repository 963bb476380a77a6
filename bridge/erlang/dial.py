"""From a node's name to an open connection: resolve the host, ask EPMD, connect, shake hands.

Each phase has a deadline and errors of its own; `Dial.phase` says where an attempt is, for who gives up on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import epmd
from bridge.erlang.errors import (
    CertificateError,
    ConnectError,
    EtfError,
    NoEpmd,
    NotAllowed,
    PhaseTimeout,
    Refused,
    TlsNotExpected,
    UnknownNode,
    UnresolvableHost,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from bridge.erlang.connection import Connection
    from bridge.erlang.names import NodeName

PHASE_TIMEOUT: Final = 5.0
"""Seconds for each phase: look-up, EPMD, connect with TLS, handshake. OTP's own net_setuptime is 7 s for all."""
PROBE_TIMEOUT: Final = 1.0
EPMD_ANSWER_LIMIT: Final = 4096
_NO_MESSAGE: Final = b"\0\1?"


class Address(NamedTuple):
    """Where a node may listen: an IP address and its distribution port."""

    ip: str
    port: int


class Dial:
    """One attempt to connect to a node."""

    def __init__(
        self,
        node: NodeName,
        epmd_port: int,
        make: Callable[[], Connection],
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare an attempt.

        Args:
            node: whom to call.
            epmd_port: the port of its EPMD.
            make: gives a new connection, its handshake ready to begin.
            context: for TLS.
        """
        self.phase = "name look-up"
        self._node = node
        self._epmd_port = epmd_port
        self._make = make
        self._made: Connection | None = None
        self._context = context

    @property
    def shaking(self) -> bool:
        """Whether the peer has, or soon gets, our name message."""
        return self._made is not None and self._made.begun and not self._made.lost

    def abandon(self) -> None:
        """End an attempt that is in its handshake; `run` fails."""
        if self._made:
            self._made.close()

    def _connection(self) -> Connection:
        self._made = self._make()
        return self._made

    async def run(self) -> Connection:
        """Connect, and give the connection when its handshake is done.

        Raises:
            ConnectError: one class per cause; of the last address tried, where a host has several.
        """
        hosts = await self._resolve()
        self.phase = "EPMD"
        where = await self._addresses(hosts)
        connection = await self._connect(where)
        self.phase = "handshake"
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                await asyncio.shield(connection.ready)
        except TimeoutError as error:
            raise self._late() from error
        finally:
            if not connection.agreed:
                connection.close()
        return connection

    def _late(self, detail: str = "") -> PhaseTimeout:
        return PhaseTimeout(str(self._node), f"{self.phase}{detail} took more than {PHASE_TIMEOUT:g} s")

    async def _resolve(self) -> list[str]:
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                return await resolve(self._node.host)
        except TimeoutError as error:
            raise self._late(f" of {self._node.host}") from error
        except (OSError, UnicodeError) as error:
            raise UnresolvableHost(str(self._node), self._node.host) from error

    async def _addresses(self, hosts: list[str]) -> list[Address]:
        """Every address at which the node may be reached: its own port if given, else the one that EPMD tells."""
        if self._node.port:
            return [Address(ip, self._node.port) for ip in hosts]
        failures: list[Exception] = []
        known = False
        for ip in hosts:
            try:
                async with asyncio.timeout(PHASE_TIMEOUT / len(hosts)):
                    found = await ask_epmd(ip, self._epmd_port, self._node.name)
            except (OSError, EtfError) as error:  # TimeoutError is an OSError
                failures.append(error)
                continue
            if found:
                if not found.lowest <= epmd.DISTRIBUTION_VERSION <= found.highest:
                    raise NotAllowed(str(self._node), f"it speaks protocol versions up to {found.highest}, not 6")
                # the address that answered comes first; a node may listen on another one all the same
                return [Address(other, found.port) for other in sorted(hosts, key=lambda other: other != ip)]
            known = True
        if known:
            raise UnknownNode(str(self._node))
        late = next((failure for failure in failures if isinstance(failure, TimeoutError)), None)
        if late:
            raise self._late(f" at port {self._epmd_port}") from late
        raise NoEpmd(str(self._node), f"port {self._epmd_port} of {', '.join(hosts)}") from failures[-1]

    async def _connect(self, where: list[Address]) -> Connection:
        """Connect to the first address that takes us; with TLS its handshake belongs to it."""
        failure: ConnectError = Refused(str(self._node))
        cause: Exception | None = None
        for ip, port in where:
            self.phase = "connecting"
            try:
                async with asyncio.timeout(PHASE_TIMEOUT / len(where)):
                    return await self._open(ip, port)
            except TimeoutError as error:
                plain = self.phase == "TLS handshake" and await _speaks_plainly(ip, port)
                detail = "it closes on what no node says, where TLS would answer"
                failure = TlsNotExpected(str(self._node), detail) if plain else self._late(f" at port {port}")
                cause = error
            except OSError as error:
                failure, cause = self._reason(port, error), error
        raise failure from cause

    async def _open(self, ip: str, port: int) -> Connection:
        loop = asyncio.get_running_loop()
        if not self._context:
            _, connection = await loop.create_connection(self._connection, ip, port)
            return connection
        connected = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connected, (ip, port))
            self.phase = "TLS handshake"
            _, connection = await loop.create_connection(
                self._connection, sock=connected, ssl=self._context, server_hostname=self._node.host
            )
        except BaseException:
            connected.close()
            raise
        return connection

    def _reason(self, port: int, error: OSError) -> ConnectError:
        node = str(self._node)
        if self.phase == "TLS handshake":
            import ssl  # noqa: PLC0415 - only TLS clusters pay for it

            if isinstance(error, ssl.SSLCertVerificationError):
                return CertificateError(node, error.verify_message)
            if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
                return CertificateError(node, f"it answered {error.reason}")
            return TlsNotExpected(node, f"TLS handshake: {error.strerror or error}")
        return Refused(node, f"port {port}: {error.strerror or error}")


async def resolve(host: str) -> list[str]:
    """Every address of a host, in the order of the system's preference.

    In a thread of its own: asyncio would wait at its end for one that hangs in the resolver.

    Raises:
        OSError, UnicodeError: it has none.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str] | None, error: Exception | None) -> None:
        if not found.done():
            found.set_exception(error) if error else found.set_result(addresses or [])

    def look_up() -> None:
        addresses, failure = None, None
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, addresses, failure)

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    return await found


async def ask_epmd(ip: str, port: int, name: str) -> epmd.NodePort | None:
    """Ask an EPMD where a node listens; None where it knows no such node.

    Raises:
        OSError: no EPMD there.
        EtfError: what is there is no EPMD.
    """
    return epmd.read_port(await _ask(ip, port, epmd.port_please(name)))


async def ask_epmd_names(ip: str, port: int) -> dict[str, int]:
    """Ask an EPMD for the names and ports of its nodes.

    Raises:
        OSError, EtfError: as above.
    """
    return epmd.read_names(await _ask(ip, port, epmd.names_please()))


async def _ask(ip: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        writer.write(request)
        answer = b""
        while len(answer) < EPMD_ANSWER_LIMIT and (piece := await reader.read(EPMD_ANSWER_LIMIT)):
            answer += piece
        return answer
    finally:
        writer.close()
        writer.transport.abort()


async def _speaks_plainly(ip: str, port: int) -> bool:
    """Whether a port is that of a node without TLS, which keeps silent on a TLS greeting but closes on nonsense."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(PROBE_TIMEOUT):
            reader, writer = await asyncio.open_connection(ip, port)
            try:
                writer.write(_NO_MESSAGE)
                return await reader.read(1) == b""
            finally:
                writer.transport.abort()
    return False
