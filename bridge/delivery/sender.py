"""Sends one request over HTTP and says what came of it: an `Answer`, or a `SendError` that names the cause.

It stands on httpx's transport, below its client: the client logs every URL, which holds the API secret, and follows
what nobody wants here (cookies, .netrc, redirects). What httpcore logs at DEBUG is redacted.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from typing import TYPE_CHECKING, Final, Self

import httpx

from bridge.delivery.destination import Answer
from bridge.delivery.errors import DestinationError
from bridge.delivery.failures import failure, timed_out
from bridge.delivery.proxies import proxy_for, shown
from bridge.secret import MASK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from bridge.delivery.destination import Request
    from bridge.secret import Secret

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 15.0
"""One exchange from name look-up to the last byte of the answer."""
_ANSWER_BYTES: Final = 64_000
"""The validator's longest answers are a fraction of this."""
_IDLE_SECONDS: Final = 20.0
"""How long a connection is kept for the next batch."""
_SECRETS: Final = re.compile(r"((?:api_secret|measurement_id)=)[^&\s\"'#]*")


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
        self.total_seconds = total_seconds
        self._tls = _tls(ca_file)
        self._proxy = proxy
        self._environ = environ or {}
        self._transports: dict[Secret | None, httpx.AsyncHTTPTransport] = {}
        self._ways: dict[Secret, _Way] = {}

    async def __aenter__(self) -> Self:
        redact_logs()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()
        self._ways.clear()

    async def send(self, request: Request, seconds: float) -> Answer:
        """One exchange.

        Args:
            request: what to send.
            seconds: the most that it may take in all.

        Raises:
            SendError: no answer; `ambiguous` when the whole request had left.
            DestinationError: the proxy's URL is none.
        """
        way = self._way(request.url)
        body = _Body(request.body)
        status: int | None = None
        try:
            async with asyncio.timeout(seconds):
                response = await way.transport.handle_async_request(way.request(request, body, seconds))
                status = response.status_code
                try:
                    text = await _start(response)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if status is None:
                late = isinstance(error, TimeoutError)
                peer = request.peer if way.proxy is None else f"{request.peer} (through proxy {way.proxy})"
                raise (
                    timed_out(peer, seconds, sent=body.sent) if late else failure(error, peer, sent=body.sent)
                ) from error
            # The answer's status is its verdict; that its body was cut changes nothing.
            text = b""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status, headers, text)

    def _way(self, url: Secret) -> _Way:
        if url not in self._ways:
            proxy = proxy_for(url.reveal(), self._proxy, self._environ)
            if proxy not in self._transports:
                self._transports[proxy] = httpx.AsyncHTTPTransport(
                    verify=self._tls,
                    trust_env=False,
                    proxy=self._httpx_proxy(proxy) if proxy else None,
                    limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
                )
            self._ways[url] = _Way(httpx.URL(url.reveal()), self._transports[proxy], shown(proxy) if proxy else None)
        return self._ways[url]

    def _httpx_proxy(self, proxy: Secret) -> httpx.Proxy:
        url = proxy.reveal()
        return httpx.Proxy(url, ssl_context=self._tls if url.startswith("https:") else None)


class _Way:
    """How to reach a URL; made once for each, as parsing it takes as long as all the rest."""

    def __init__(self, url: httpx.URL, transport: httpx.AsyncHTTPTransport, proxy: str | None) -> None:
        self.url = url
        self.transport = transport
        self.proxy = proxy

    def request(self, request: Request, body: _Body, seconds: float) -> httpx.Request:
        # httpx adds neither of these to a request with a stream of its own.
        own = {"host": self.url.netloc.decode("ascii"), "content-length": str(len(request.body))}
        headers = {**own, **request.headers}
        # Connecting has to give up by itself: cancelled in a TLS handshake, httpcore leaves its socket behind.
        limits = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, 0.9 * seconds))
        return httpx.Request(
            request.method, self.url, headers=headers, stream=body, extensions={"timeout": limits.as_dict()}
        )


class _Body(httpx.AsyncByteStream):
    """A request's body that knows whether it has left: asked for more, the connection has written all of it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.sent = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.sent = False
        yield self._body
        self.sent = True


async def _start(response: httpx.Response) -> bytes:
    """The start of the answer's body; a small one is read to its end, so that the connection can be used again."""
    text = b""
    async for part in response.aiter_raw():
        text += part
        if len(text) >= _ANSWER_BYTES:
            break
    return text


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        # ssl.SSLError is an OSError too, with numbers of its own.
        reason = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise DestinationError(f"bridge.ca_file {ca_file} cannot be used: {reason}") from error


class _Redacted(logging.Filter):
    """Masks secrets in the text of a record, wherever they came from (a redirect may quote the URL)."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if _SECRETS.search(text):
            record.msg, record.args = _SECRETS.sub(rf"\1{MASK}", text), ()
        return True


_REDACTED: Final = _Redacted()


def redact_logs() -> None:
    """Let no secret pass httpx's and httpcore's loggers; a filter of a parent does not see its children's records."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"httpx", "httpcore"}:
            logging.getLogger(name).addFilter(_REDACTED)
