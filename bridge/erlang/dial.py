"""From a node's name to an open socket: resolve the host, ask EPMD, connect, each with a deadline and its own error."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import epmd
from bridge.erlang.errors import (
    CertificateError,
    EtfError,
    NoEpmd,
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


class Address(NamedTuple):
    """Where a node may listen: an IP address and its distribution port."""

    ip: str
    port: int


async def addresses(node: NodeName, epmd_port: int) -> list[Address]:
    """Every address at which the node may be reached: its own port if given, else the one that EPMD tells.

    Raises:
        UnresolvableHost, NoEpmd, UnknownNode, PhaseTimeout: as they say.
    """
    hosts = await _resolve(node)
    if node.port:
        return [Address(ip, node.port) for ip in hosts]
    refused: Exception | None = None
    known = False
    for ip in hosts:
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                found = await _ask(ip, epmd_port, node.name)
        except TimeoutError as error:
            refused = error
        except (OSError, EtfError) as error:
            refused = refused or error
        else:
            if found:
                # the address that answered comes first; a node may listen on another one all the same
                return [Address(other, found.port) for other in sorted(hosts, key=lambda other: other != ip)]
            known = True
    if known:
        raise UnknownNode(str(node))
    if isinstance(refused, TimeoutError):
        raise PhaseTimeout(str(node), f"EPMD at port {epmd_port} within {PHASE_TIMEOUT:g} s") from refused
    raise NoEpmd(str(node), f"port {epmd_port} of {', '.join(hosts)}") from refused


async def _resolve(node: NodeName) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PHASE_TIMEOUT):
            found = await loop.getaddrinfo(node.host, None, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise PhaseTimeout(str(node), f"name look-up of {node.host} within {PHASE_TIMEOUT:g} s") from error
    except (OSError, UnicodeError) as error:
        raise UnresolvableHost(str(node), node.host) from error
    return list(dict.fromkeys(str(info[4][0]) for info in found))


async def _ask(ip: str, port: int, name: str) -> epmd.NodePort | None:
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        writer.write(epmd.port_please(name))
        return epmd.read_port(await reader.read(1024))
    finally:
        writer.close()


async def connect(
    node: NodeName,
    where: list[Address],
    make: Callable[[], Connection],
    context: ssl.SSLContext | None,
) -> Connection:
    """Connect to the first address that takes it and shake hands.

    Raises:
        ConnectError: of the last address tried; a handshake that was refused is not tried elsewhere.
    """
    loop = asyncio.get_running_loop()
    failure: Exception = Refused(str(node))
    for ip, port in where:
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                _, connection = await loop.create_connection(
                    make, ip, port, ssl=context, server_hostname=node.host if context else None
                )
        except TimeoutError as error:
            failure = PhaseTimeout(str(node), f"connecting to port {port} within {PHASE_TIMEOUT:g} s")
            failure.__cause__ = error
        except OSError as error:
            failure = _reason(node, port, error, tls=context is not None)
            failure.__cause__ = error
        else:
            try:
                async with asyncio.timeout(PHASE_TIMEOUT):
                    await connection.ready
            except TimeoutError as error:
                connection.close()
                raise PhaseTimeout(str(node), f"handshake within {PHASE_TIMEOUT:g} s") from error
            return connection
    raise failure


def _reason(node: NodeName, port: int, error: OSError, *, tls: bool) -> Exception:
    if tls:
        import ssl  # noqa: PLC0415 - only TLS clusters pay for it

        if isinstance(error, ssl.SSLCertVerificationError):
            return CertificateError(str(node), error.verify_message)
        if isinstance(error, ssl.SSLError):
            alert = "alert" in str(error).lower()
            return CertificateError(str(node), error.reason or "") if alert else TlsNotExpected(str(node))
        if isinstance(error, ConnectionResetError | BrokenPipeError) or type(error) is ConnectionError:
            return TlsNotExpected(str(node), "it closed during the TLS handshake")
    return Refused(str(node), f"port {port}: {error.strerror or error}")
