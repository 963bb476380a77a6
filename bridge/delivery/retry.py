"""What becomes of a batch after an attempt: delivered, tried again, kept as a dead letter, or dropped. Pure functions.

408, 429, every 5xx and a redirect are tried again: they are said by what stands in between, or pass. 501 too: a relay
that is half set up says it, and whoever mends it within 71 hours keeps the reports. Any other 4xx is an answer to this
very request and would be given again: the batch becomes a dead letter.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.delivery.destination import Answer
    from bridge.delivery.errors import SendError

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 300.0
LONGEST_RETRY_AFTER: Final = 3600.0
"""A server may ask for patience, but not until the events are too old."""

PROXY_LOGIN: Final = 407
"""Said by a proxy on the way, never by the destination."""
_RETRIED: Final = frozenset({PROXY_LOGIN, 408, 429})

Ambiguity = Literal["retry", "drop"]
"""What to do when a request may have been counted: send it again, or give it up."""


class Verdict(StrEnum):
    """What becomes of a batch."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    DROPPED = "dropped"


def judge_status(status: int) -> Verdict:
    """The usual reading of an HTTP status."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if 400 <= status < 500 and status not in _RETRIED:
        return Verdict.REJECTED
    return Verdict.RETRY


def judge_failure(error: SendError, ambiguity: Ambiguity) -> Verdict:
    """No answer: again, unless it may have been counted and the operator would rather lose it than count it twice."""
    return Verdict.DROPPED if error.ambiguous and ambiguity == "drop" else Verdict.RETRY


def delay(failures: int, retry_after: float | None, uniform: Callable[[float, float], float]) -> float:
    """Seconds until the next attempt.

    Args:
        failures: how many attempts in a row have failed, this one included.
        retry_after: seconds that the server asked for.
        uniform: `random.uniform`; full jitter spreads out bridges that failed at the same moment.
    """
    ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))
    return max(uniform(0.0, ceiling), min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def retry_after(answer: Answer, now: int) -> float | None:
    """The seconds that a Retry-After header asks for, in either of its forms; None when there is none to be read.

    Source: RFC 9110, section 10.2.3.
    """
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    # "-0000" gives a naive time, which HTTP means as UTC.
    seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now / 1e6
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
