"""A small HTTP/1.1 server on asyncio and h11, for the emulator's endpoint and the service's health page.

h11 speaks the protocol; this file adds sockets, limits and deadlines: whatever a client sends or leaves out, a
connection ends within a known time, with an answer where one makes sense, and without a traceback.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import h11

from bridge.errors import BridgeError, ExitCode
from bridge.log import Line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[["HttpRequest"], Awaitable["HttpResponse | CutOff"]]
    Routes = Mapping[tuple[str, str], Handler]
    """Method and path of each handler; HEAD is answered by the handler of GET."""

log = logging.getLogger(__name__)

_PIECE: Final = 16_384
"""Bytes read at once; also what a head can exceed its limit by before it is noticed."""
_ABSOLUTE: Final = re.compile("https?://([^/?]*)(.*)", re.IGNORECASE)
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class ListenError(BridgeError):
    """The server cannot listen at the address and port that it is given."""

    exit_code = ExitCode.LISTEN


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds that bound what one client can cost."""

    head: int = 16_384
    body: int = 1_048_576
    idle: float = 60.0
    """Seconds without a byte between two requests."""
    transfer: float = 15.0
    """Seconds from the first byte of a request to its last, and for the client to take the answer."""
    grace: float = 1.0
    """Seconds for answers under way when the server closes, and for a client to close its side."""
    connections: int = 256
    """Beyond so many, a new one takes the place of the one that waits longest for a whole request."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A whole request; header names are in lower case."""

    method: str
    path: str
    """Without scheme and host where the client sent a whole URL; its host is then in the header."""
    query: str = field(repr=False)
    """Kept out of the repr: senders put secrets there."""
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    peer: str


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer; length, date and caching headers are added when it is sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CutOff:
    """In place of an answer: the connection is closed after these bytes."""

    raw: bytes = b""


class Server:
    """Serves `routes` until closed."""

    def __init__(
        self,
        routes: Routes,
        *,
        otherwise: Handler | None = None,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Prepare a server; `start` opens its socket.

        Args:
            routes: the handlers.
            otherwise: handler of every path that has none of its own.
            tls: a server context, for https.
            limits: other bounds than the usual ones.
        """
        self._routes = routes
        self._otherwise = otherwise
        self._tls = tls
        self._limits = limits or Limits()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}  # no whole request yet; who waits longest is first

    async def start(self, host: str, port: int) -> str:
        """Listen on the first address of `host`; port 0 takes any free one. Returns the URL, without a path.

        Raises:
            ListenError: the port is taken or the address is none of this machine.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
            family, *_, address = found[0]  # one address only: port 0 on two addresses would be two ports
            both = address[0] == "::" and socket.has_dualstack_ipv6()  # every address, those of IPv4 too
            listening = socket.create_server(address, family=family, dualstack_ipv6=both)
            patience = self._limits.transfer if self._tls else None
            self._server = await asyncio.start_server(
                self._connected, sock=listening, limit=_PIECE, ssl=self._tls, ssl_handshake_timeout=patience
            )
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            remedy = "choose an address of this machine and a free port (0: any)"
            raise ListenError(f"cannot listen on {host}:{port}: {reason}", remedy) from error
        own, port = listening.getsockname()[:2]
        return f"{'https' if self._tls else 'http'}://{f'[{own}]' if ':' in own else own}:{port}"

    async def close(self) -> None:
        """Stop listening, let answers under way finish within the grace, then end every connection."""
        if not self._server:
            return
        self._server.close()
        for task in self._waiting:
            task.cancel()
        with suppress(TimeoutError):  # which cancels what is left
            async with asyncio.timeout(self._limits.grace):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(TimeoutError):  # a TLS handshake that stands still has no task yet
            async with asyncio.timeout(self._limits.grace):
                await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= self._limits.connections:
            longest = next(iter(self._waiting), None)
            if longest is None:
                writer.transport.abort()
                return
            del self._waiting[longest]
            longest.cancel()
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._tasks.add(task)
        self._waiting[task] = None

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._waiting.pop(task, None)
            writer.transport.abort()  # where the client does not join in closing, or the task did not even begin

        task.add_done_callback(ended)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        conversation = _Conversation(reader, writer, self._limits)
        try:
            while self._server and self._server.is_serving() and (request := await conversation.receive()):
                del self._waiting[task]
                answer = await self._answer(request)
                if isinstance(answer, CutOff):
                    writer.write(answer.raw)
                    break
                await conversation.send(answer, request.method)
                self._waiting[task] = None
        except h11.RemoteProtocolError as error:
            log.debug(Line("http_request_malformed", error=error))
            await conversation.refuse(error.error_status_hint)
        except (OSError, TimeoutError) as error:  # the client went away, or takes or sends too slowly
            log.debug(Line("http_connection_lost", error=type(error).__name__))
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._limits.grace):
                    await writer.wait_closed()

    async def _answer(self, request: HttpRequest) -> HttpResponse | CutOff:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._routes.get((method, request.path))
        if handler is None:
            allowed = sorted(verb for verb, path in self._routes if path == request.path)
            if allowed or not self._otherwise:
                return _plain(405, ("Allow", ", ".join(allowed))) if allowed else _plain(404)
            handler = self._otherwise
        try:
            return await handler(request)
        except Exception:  # a fault in a handler must not end the server, nor show itself to the client
            log.exception(Line("http_handler_failed", method=request.method, path=request.path))
            return _plain(500)


class _Conversation:
    """One connection: requests in, answers out, one at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)

    async def receive(self) -> HttpRequest | None:
        """The next request, or None where the client has no more.

        Raises:
            TimeoutError: the client sends nothing.
            h11.RemoteProtocolError: the request is malformed, too large or too slow.
        """
        if self._wire.our_state is h11.DONE and self._wire.their_state is h11.DONE:
            self._wire.start_next_cycle()
        if self._wire.our_state is not h11.IDLE:  # one side wants to end here
            return None
        if not self._wire.trailing_data[0]:
            async with asyncio.timeout(self._limits.idle):
                self._wire.receive_data(await self._reader.read(_PIECE))
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.transfer):
                head = await self._event()
                if not isinstance(head, h11.Request):
                    return None
                while isinstance(piece := await self._event(), h11.Data):
                    body += piece.data
                    if len(body) > self._limits.body:
                        raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        except TimeoutError as error:
            raise h11.RemoteProtocolError("request too slow", error_status_hint=408) from error
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        method, target = head.method.decode("ascii"), head.target.decode("ascii")
        if absolute := _ABSOLUTE.fullmatch(target):  # its host replaces the header's: RFC 9112, section 3.2.2
            headers["host"], target = absolute.groups()
            target = target if target.startswith("/") else f"/{target}"
        path, _, query = target.partition("?")
        peer = self._writer.get_extra_info("peername") or ("",)
        # On a socket for both protocols the address of an IPv4 client is written as one of IPv6.
        return HttpRequest(method, path, query, headers, bytes(body), str(peer[0]).removeprefix("::ffff:"))

    async def _event(self) -> object:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            if self._wire.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._wire.receive_data(await self._reader.read(_PIECE))
        return event

    async def send(self, response: HttpResponse, method: str) -> None:
        """Send an answer; that to HEAD has no body."""
        headers = [("Date", formatdate(usegmt=True)), ("Cache-Control", "no-store"), *response.headers]
        if response.status not in (204, 304):
            headers += [
                ("Content-Type", response.content_type),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Length", str(len(response.body))),
            ]
        if self._wire.their_state is not h11.DONE:  # refused before its end
            headers.append(("Connection", "close"))
        head = h11.Response(status_code=response.status, headers=headers, reason=_PHRASES.get(response.status, ""))
        self._write(head, h11.Data(data=b"" if method == "HEAD" else response.body), h11.EndOfMessage())
        async with asyncio.timeout(self._limits.transfer):
            await self._writer.drain()

    async def refuse(self, status: int) -> None:
        """Send a status as the last answer and take what the client still sends, within the grace.

        Closing over unread bytes resets the connection, and the client would lose the answer.
        """
        with suppress(OSError, TimeoutError):
            await self.send(_plain(status), "GET")
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(self._limits.grace):
                while await self._reader.read(_PIECE):
                    pass

    def _write(self, *events: h11.Event) -> None:
        self._writer.write(b"".join(self._wire.send(event) or b"" for event in events))


def _plain(status: int, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, f"{status} {_PHRASES[status]}\n".encode(), headers=headers)
