"""What an answer means for a batch: taken, refused for good, or to be tried again.

408, 429, every 5xx and a redirect are tried again: they are said by what stands in between, or pass. 501 too: a relay
that is half set up says it, and whoever mends it within 71 hours keeps the reports. Any other 4xx is an answer to this
very request and would be given again: the batch becomes a dead letter. So is a 2xx with a page in it tried again: GA4
and its relays answer with nothing or a few bytes, a captive portal with HTML.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import Cause, SendError
from bridge.state.queue import LONGEST_RETRY_AFTER

if TYPE_CHECKING:
    from bridge.delivery.destination import Answer

PROXY_LOGIN: Final = 407
"""Said by a proxy on the way, never by the destination."""
_RETRIED: Final = frozenset({PROXY_LOGIN, 408, 429})


def check(answer: Answer, peer: str, now: int) -> None:
    """Read an answer by its status, as every HTTP endpoint means it.

    Args:
        answer: what came back; its body is the other side's and is not repeated.
        peer: whose answer, for the message.
        now: µs since 1970, for a Retry-After that names a moment.

    Raises:
        SendError: the request was not taken.
    """
    status, remedy = answer.status, ""
    problem = f"answered {_phrase(status)}"
    if 200 <= status < 300:
        if "html" not in answer.headers.get("content-type", "").lower() and answer.body.lstrip()[:1] != b"<":
            return
        problem += " with a web page, which GA4 never does"
        remedy = "is there a captive portal or a login page in between, or is the endpoint another one?"
    elif 300 <= status < 400:
        remedy = "redirects are not followed: is the endpoint right, or is there a captive portal in between?"
    elif status == HTTPStatus.NOT_FOUND:
        remedy = "is the endpoint right?"
    final = 400 <= status < 500 and status not in _RETRIED
    raise SendError(peer, Cause(problem, remedy), final=final, retry_after=retry_after(answer, now))


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after(answer: Answer, now: int) -> float:
    """The seconds that a Retry-After header asks for, in either of its forms; 0 when there is none to be read.

    Source: RFC 9110, section 10.2.3.
    """
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" gives a naive time, which HTTP means as UTC.
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now / 1e6
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
