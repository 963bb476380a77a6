"""Sends one request over HTTP and says what came of it: an `Answer`, or a `SendError` that names the cause.

It stands on httpx's transport, below its client: the client logs every URL, which holds the API secret, and follows
what nobody wants here (cookies, .netrc, redirects).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, Self

import httpx

from bridge.delivery.destination import Answer
from bridge.delivery.errors import UNRESOLVABLE, Cause, DestinationError, SendError
from bridge.delivery.failures import failure, timed_out
from bridge.delivery.proxies import proxy_for, shown
from bridge.errors import BridgeError
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from bridge.delivery.destination import Request

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 15.0
"""One exchange from name look-up to the last byte of the answer."""
_IDLE_SECONDS: Final = 20.0
"""How long a connection is kept for the next batch."""
_RESOLVED_SECONDS: Final = 60.0
"""How long a look-up of a host is not repeated."""


class Tokens(Protocol):
    """The operator's credentials, as far as requests need them."""

    async def token(self, scopes: Sequence[str], *, refused: Secret | None = None) -> Secret:
        """An access token that allows some scopes, and is not the one that was refused.

        Raises:
            BridgeError: there is none to be had.
        """


class Sender:
    """Keeps connections to the destinations; an async context manager.

    Args:
        ca_file: CA certificates (PEM) instead of the system's; SSL_CERT_FILE is OpenSSL's own and works too.
        proxy: instead of the environment's.
        environ: where the proxy variables are.
        total_seconds: the longest exchange.

    Raises:
        DestinationError: the CA file cannot be used.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        proxy: Secret | None = None,
        environ: Mapping[str, str] | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        for library in ("httpx", "httpcore"):  # at DEBUG they log whole URLs
            logging.getLogger(library).propagate = False
        self.total_seconds = total_seconds
        self.tokens: Tokens | None = None
        """Where the access tokens come from that requests with a scope need."""
        self._tls = _tls(ca_file)
        self._proxy = proxy
        self._environ = environ or {}
        self._transports: dict[Secret | None, httpx.AsyncHTTPTransport] = {}
        self._ways: dict[str, _Way] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; the next request opens new ones."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()
        self._ways.clear()

    def check(self, peer: str) -> None:
        """Find out before anything is sent whether a peer can be posted to, and the proxy to it can be used.

        Raises:
            DestinationError: HTTP requests cannot be made with them.
        """
        self._way(peer)

    async def send(self, request: Request, seconds: float) -> Answer:
        """One exchange, with an access token where the request needs one, and again with another where it is refused.

        Args:
            request: what to send.
            seconds: the most that an exchange may take in all.

        Raises:
            SendError: no token, or no answer; `ambiguous` when the whole request had left.
            DestinationError: the proxy's URL cannot be used.
        """
        if not request.scope:
            return await self._exchange(request, seconds)
        return await self.send_with(partial(self._token, request), request, seconds)

    async def send_with(
        self, token: Callable[[Secret | None], Awaitable[Secret]], request: Request, seconds: float
    ) -> Answer:
        """One exchange with an access token, and again with another where it is refused.

        Args:
            token: gives one, other than the one that was refused.
            request: what to send.
            seconds: the most that an exchange may take in all.

        Raises:
            SendError, DestinationError: as for `send`; and whatever `token` raises.
        """
        given = await token(None)
        answer = await self._exchange(_bearing(request, given), seconds)
        if answer.status == HTTPStatus.UNAUTHORIZED:  # a token may be revoked before its time
            answer = await self._exchange(_bearing(request, await token(given)), seconds)
        return answer

    async def _token(self, request: Request, refused: Secret | None) -> Secret:
        assert self.tokens
        try:
            return await self.tokens.token([request.scope], refused=refused)
        except SendError:
            raise
        except BridgeError as error:
            cause = Cause(f"takes nothing without an access token: {error.what}", error.remedy)
            raise SendError(request.peer, cause) from error

    async def _exchange(self, request: Request, seconds: float) -> Answer:
        way = self._way(request.peer)
        url = way.url(request.url)
        body = _Body(request.body)
        peer = request.peer if way.proxy is None else f"{request.peer} (through proxy {way.proxy})"
        status: int | None = None
        await way.resolve(peer, min(CONNECT_SECONDS, seconds))
        try:
            async with asyncio.timeout(seconds):
                response = await way.transport.handle_async_request(_http(request, url, body, seconds))
                status = response.status_code
                try:
                    text = await _start(response, request.most)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if status is None:
                late = isinstance(error, TimeoutError)
                raise (
                    timed_out(peer, seconds, sent=body.sent) if late else failure(error, peer, sent=body.sent)
                ) from error
            # The answer's status is its verdict; that its body was cut changes nothing.
            text = b""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status, headers, text)

    def _way(self, peer: str) -> _Way:
        if peer not in self._ways:
            proxy = proxy_for(peer, self._proxy, self._environ)
            if proxy not in self._transports:
                self._transports[proxy] = httpx.AsyncHTTPTransport(
                    verify=self._tls,
                    trust_env=False,
                    proxy=self._httpx_proxy(proxy) if proxy else None,
                    limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
                )
            host = _url(Secret(peer), "the endpoint").host
            self._ways[peer] = _Way(host, self._transports[proxy], proxy)
        return self._ways[peer]

    def _httpx_proxy(self, proxy: Secret) -> httpx.Proxy:
        url = _url(proxy, "the proxy")
        return httpx.Proxy(url, ssl_context=self._tls if url.scheme == "https" else None)


def _bearing(request: Request, token: Secret) -> Request:
    return replace(request, headers={**request.headers, "authorization": f"Bearer {token.reveal()}"})


def _url(text: Secret, whose: str) -> httpx.URL:
    try:
        return httpx.URL(text.reveal())
    except httpx.InvalidURL:
        # Neither quoted nor chained: it may hold a password.
        what, remedy = f"no HTTP request can be made to the address of {whose}", "check its host and port"
        raise DestinationError(what, remedy) from None


class _Way:
    """How to reach a peer."""

    def __init__(self, host: str, transport: httpx.AsyncHTTPTransport, proxy: Secret | None) -> None:
        self.transport = transport
        self.proxy = shown(proxy) if proxy else None
        self._host = httpx.URL(proxy.reveal()).host if proxy else host
        self._resolved_until = 0.0
        self._last: tuple[Secret, httpx.URL] | None = None

    def url(self, text: Secret) -> httpx.URL:
        """The URL; mostly that of the request before, since reading it takes as long as all the rest."""
        if self._last is None or self._last[0] != text:
            self._last = text, _url(text, "the endpoint")
        return self._last[1]

    async def resolve(self, peer: str, seconds: float) -> None:
        """Look the host up that is connected to, so that a name server that fails is told from a firewall.

        Raises:
            Unresolvable: it has no address, or not in time.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._resolved_until:
            return
        try:
            async with asyncio.timeout(seconds):
                await loop.getaddrinfo(self._host, None)
        except TimeoutError as error:
            raise SendError(peer, UNRESOLVABLE, f"no name server answered within {seconds:.3g} s") from error
        except (OSError, UnicodeError) as error:
            raise SendError(peer, UNRESOLVABLE) from error
        self._resolved_until = loop.time() + _RESOLVED_SECONDS


def _http(request: Request, url: httpx.URL, body: _Body, seconds: float) -> httpx.Request:
    # httpx adds neither of these to a request with a stream of its own.
    own = {"host": url.netloc.decode("ascii"), "content-length": str(len(request.body))}
    # Connecting has to give up by itself: cancelled in a TLS handshake, httpcore leaves its socket behind.
    limits = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, 0.9 * seconds))
    extensions = {"timeout": limits.as_dict()}
    return httpx.Request(request.method, url, headers={**own, **request.headers}, stream=body, extensions=extensions)


class _Body(httpx.AsyncByteStream):
    """A request's body that knows whether it has left: asked for more, the connection has written all of it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.sent = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.sent = False
        yield self._body
        self.sent = True


async def _start(response: httpx.Response, most: int) -> bytes:
    """The start of the answer's body; a small one is read to its end, so that the connection can be used again."""
    text = b""
    async for part in response.aiter_raw():
        text += part
        if len(text) >= most:
            break
    return text


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """How certificates are verified: as OpenSSL and curl do by default, with any release of Python.

    `ssl.create_default_context` is stricter from Python 3.13 on, so that a company's CA without key identifiers is
    refused; and it lets SSLKEYLOGFILE write down keys with which the API secret can be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what the operator names is trusted, be it an intermediate
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    except (OSError, ssl.SSLError) as error:
        # ssl.SSLError is an OSError too, with numbers of its own.
        reason = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        remedy = "name a file with CA certificates in PEM form, or leave it to the system's"
        raise DestinationError(f"bridge.ca_file {ca_file} cannot be used: {reason}", remedy) from error
    return context
