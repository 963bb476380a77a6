"""httpx's exceptions by their cause, in words for the operator; their own texts are not used, they may quote URLs."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

import httpx

from bridge.delivery import errors
from bridge.delivery.errors import SendError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ErrorT = TypeVar("_ErrorT", bound=BaseException)

_CERTIFICATE: Final = {
    9: "not valid yet",
    10: "expired",
    18: "signed by itself",
    19: "signed by an unknown CA",
    20: "signed by an unknown CA",
    21: "signed by an unknown CA",
    62: "made for another host",
    64: "made for another address",
}
"""X509_V_ERR_…; source: OpenSSL, X509_STORE_CTX_get_error(3)."""


def failure(error: Exception, peer: str, *, sent: bool) -> SendError:
    """Name the cause of a failed exchange.

    Args:
        error: what httpx's transport raised.
        peer: whom it was with, for the message.
        sent: whether the whole request had left, so that the other side may have counted it.
    """
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return SendError(peer, errors.NO_CONNECTION_IN_TIME)
    if isinstance(error, httpx.ProxyError):
        # Its text is the status line of the proxy's answer to CONNECT.
        return SendError(peer, errors.PROXY_REFUSES, str(error)[:80])
    if certificate := _cause(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(certificate.verify_code, certificate.verify_message)
        return SendError(peer, errors.NOT_TRUSTED, reason)
    if tls := _cause(error, ssl.SSLError):
        reason = (tls.reason or "handshake failed").lower().replace("_", " ")
        return SendError(peer, errors.NO_TLS, reason, ambiguous=sent)
    if isinstance(error, httpx.ConnectError):
        return _not_connected(error, peer)
    if isinstance(error, httpx.TimeoutException):
        return SendError(peer, errors.NO_ANSWER_IN_TIME, ambiguous=sent)
    if isinstance(error, httpx.RemoteProtocolError):
        # h11 has one error for an answer that never came and for one that makes no sense.
        lost = "disconnected" in str(error) or "peer closed" in str(error)
        return SendError(peer, errors.LOST if lost else errors.NOT_HTTP, ambiguous=sent)
    if isinstance(error, httpx.NetworkError | OSError):
        return SendError(peer, errors.LOST, _reason(error), ambiguous=sent)
    return SendError(peer, errors.NOT_HTTP, type(error).__name__, ambiguous=sent)


def timed_out(peer: str, seconds: float, *, sent: bool) -> SendError:
    """The whole exchange took too long, whatever it was busy with."""
    cause = errors.NO_ANSWER_IN_TIME if sent else errors.NO_CONNECTION_IN_TIME
    return SendError(peer, cause, f"{seconds:.3g} s", ambiguous=sent)


def _not_connected(error: Exception, peer: str) -> SendError:
    if _cause(error, socket.gaierror):
        return SendError(peer, errors.UNRESOLVABLE)
    if _cause(error, ConnectionResetError) or _cause(error, BrokenPipeError):
        return SendError(peer, errors.NO_TLS, "the connection was closed during the handshake")
    return SendError(peer, errors.REFUSED, _reason(error))


def _reason(error: BaseException) -> str:
    """The system's word for what happened, deepest cause first."""
    numbers = [cause.errno for cause in _causes(error) if isinstance(cause, OSError) and cause.errno]
    return os.strerror(numbers[-1]).lower() if numbers else ""


def _cause(error: BaseException, kind: type[_ErrorT]) -> _ErrorT | None:
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it was raised from; attempts at several addresses come as a group."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
