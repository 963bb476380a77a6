"""From a node's name to an open connection: resolve the host, ask EPMD, connect, shake hands.

Each phase has a deadline and errors of its own. An observer is told what each phase saw when it has succeeded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

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
    NotAllowed,
    PhaseTimeout,
    PortRefused,
    TlsNotExpected,
    UnknownNode,
    UnresolvableHost,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from bridge.erlang.connection import Connection
    from bridge.erlang.names import NodeName

    Observer = Callable[[str, str], None]
    """Takes a phase that has succeeded, one of `bridge.erlang.errors.PHASES`, and what it saw."""

PHASE_TIMEOUT: Final = 4.0
"""Seconds for each phase: look-up, EPMD, connect with TLS, handshake. OTP's own net_setuptime is 7 s for all."""
PROBE_TIMEOUT: Final = 0.5
EPMD_ANSWER_LIMIT: Final = 1_000_000
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
        self._epmd_port = epmd_port
        self._make = make
        self._context = context
        self._observe = observe or (lambda _phase, _seen: None)

    async def run(self) -> Connection:
        """Connect, and give the connection when its handshake is done.

        Raises:
            ConnectError: one class per cause; of the last address tried, where a host has several.
        """
        hosts = await self._resolve()
        self._observe(HOST, self._node.host if hosts == [self._node.host] else f"{self._node.host} is {_listed(hosts)}")
        where = await self._addresses(hosts)
        connection = await self._connect(where)
        self.phase = HANDSHAKE
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                await asyncio.shield(connection.ready)
        except TimeoutError as error:
            raise self._late() from error
        except ConnectError as error:
            if error.phase == COOKIE:
                self._observe(HANDSHAKE, "the node takes our name, flags and protocol version")
            raise
        finally:
            if not connection.agreed:
                connection.abort()
        self._observe(HANDSHAKE, "the node takes our name, flags and protocol version")
        self._observe(COOKIE, "it is the same as the node's")
        return connection

    def _late(self, detail: str = "") -> PhaseTimeout:
        return PhaseTimeout(
            str(self._node), f"{self.phase}{detail} took more than {PHASE_TIMEOUT:g} s", phase=self.phase
        )

    async def _resolve(self) -> list[str]:
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                return await resolve(self._node.host)
        except TimeoutError as error:
            raise PhaseTimeout(
                str(self._node), f"the look-up of {self._node.host} took more than {PHASE_TIMEOUT:g} s", phase=HOST
            ) from error
        except (OSError, UnicodeError) as error:
            raise UnresolvableHost(str(self._node), self._node.host) from error

    async def _addresses(self, hosts: list[str]) -> list[Address]:
        """Every address at which the node may be reached: its own port if given, else the one that EPMD tells."""
        if self._node.port:
            return [Address(ip, self._node.port) for ip in hosts]
        self.phase = EPMD
        failures: list[Exception] = []
        listed: dict[str, int] | None = None
        for ip in hosts:
            try:
                async with asyncio.timeout(PHASE_TIMEOUT / len(hosts)):
                    answer = await ask_epmd(ip, self._epmd_port, self._node.name)
                    if not answer:
                        listed = {}
                        listed = await ask_epmd_names(ip, self._epmd_port)
                        continue
            except (OSError, EtfError) as error:  # TimeoutError is an OSError
                failures.append(error)
                continue
            if not answer.lowest <= epmd.DISTRIBUTION_VERSION <= answer.highest:
                raise NotAllowed(str(self._node), f"it speaks protocol versions up to {answer.highest}, not 6")
            self._observe(EPMD, f"{self._node.name} is registered at port {self._epmd_port} of {ip}")
            # the address that answered comes first; a node may listen on another one all the same
            return [Address(other, answer.port) for other in sorted(hosts, key=lambda other: other != ip)]
        if listed is not None:
            raise UnknownNode(str(self._node), sorted(listed))
        late = next((failure for failure in failures if isinstance(failure, TimeoutError)), None)
        if late:
            raise self._late(f" at port {self._epmd_port}") from late
        where = f"port {self._epmd_port} of {_listed(hosts)}"
        other = any(isinstance(failure, EtfError) for failure in failures)
        raise NoEpmd(str(self._node), f"{where}: another program answers" if other else where) from failures[-1]

    async def _connect(self, where: list[Address]) -> Connection:
        """Connect to the first address that takes us; with TLS its handshake belongs to it."""
        failure: ConnectError = PortRefused(str(self._node))
        cause: Exception | None = None
        for ip, port in where:
            self.phase = PORT
            try:
                async with asyncio.timeout(PHASE_TIMEOUT / len(where)):
                    return await self._open(ip, port)
            except TimeoutError as error:
                plain = self.phase == TLS and await _speaks_plainly(ip, port)
                detail = "it closes on what no node says, where TLS would answer"
                failure = TlsNotExpected(str(self._node), detail) if plain else self._late(f" at port {port}")
                cause = error
            except OSError as error:
                failure, cause = self._reason(port, error), error
        raise failure from cause

    async def _open(self, ip: str, port: int) -> Connection:
        loop = asyncio.get_running_loop()
        if not self._context:
            _, connection = await loop.create_connection(self._make, ip, port)
            self._observe(PORT, f"port {port} takes connections")
            return connection
        connected = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connected, (ip, port))
            self._observe(PORT, f"port {port} takes connections")
            self.phase = TLS
            _, connection = await loop.create_connection(
                self._make, sock=connected, ssl=self._context, server_hostname=self._node.host
            )
        except BaseException:
            connected.close()
            raise
        self._observe(TLS, "both sides speak TLS and trust each other")
        return connection

    def _reason(self, port: int, error: OSError) -> ConnectError:
        node = str(self._node)
        if self.phase == TLS:
            import ssl  # noqa: PLC0415 - only TLS clusters pay for it

            if isinstance(error, ssl.SSLCertVerificationError):
                return CertificateError(node, error.verify_message)
            if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
                return CertificateError(node, f"it answered {error.reason}")
            return TlsNotExpected(node, f"TLS handshake: {error.strerror or error}")
        return PortRefused(node, f"port {port}: {error.strerror or error}")


def _listed(hosts: Sequence[str]) -> str:
    return ", ".join(hosts)


async def resolve(host: str) -> list[str]:
    """Every address of a host, in the order of the system's preference.

    Raises:
        OSError, UnicodeError: it has none.
    """
    infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


async def ask_epmd(ip: str, port: int, name: str) -> epmd.NodePort | None:
    """Ask an EPMD where a node listens; None where it knows no such node.

    Raises:
        OSError: no EPMD there.
        EtfError: what answers there is another program.
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
            reader, writer = await asyncio.open_connection(ip, port)
            try:
                writer.write(_NO_MESSAGE)
                return await reader.read(1) == b""
            finally:
                writer.transport.abort()
    return False
