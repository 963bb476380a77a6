"""What an answer or a failure means for a batch, and how long the next attempt waits."""

import random
from email.utils import formatdate

import pytest

from bridge.delivery.destination import Answer
from bridge.delivery.errors import AnswerTimeout
from bridge.delivery.retry import Verdict, delay, judge_failure, judge_status, retry_after
from tests.delivery.support import NOW


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_has_arrived(status: int) -> None:
    assert judge_status(status) is Verdict.DELIVERED


@pytest.mark.parametrize("status", [301, 302, 307, 407, 408, 429, 500, 501, 502, 503, 504, 599])
def test_what_passes_by_itself_is_tried_again(status: int) -> None:
    assert judge_status(status) is Verdict.RETRY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 451])
def test_every_other_4xx_is_final(status: int) -> None:
    assert judge_status(status) is Verdict.REJECTED


def test_only_an_ambiguous_failure_is_dropped_and_only_when_asked_to() -> None:
    certain, ambiguous = AnswerTimeout("peer"), AnswerTimeout("peer", ambiguous=True)
    assert judge_failure(certain, "retry") is judge_failure(ambiguous, "retry") is Verdict.RETRY
    assert judge_failure(certain, "drop") is Verdict.RETRY
    assert judge_failure(ambiguous, "drop") is Verdict.DROPPED


def test_the_ceiling_doubles_from_one_second_to_five_minutes() -> None:
    ceilings = [delay(failures, None, lambda least, most: most) for failures in (1, 2, 3, 9, 10, 11, 10_000)]
    assert ceilings == [1, 2, 4, 256, 300, 300, 300]


def test_jitter_is_full() -> None:
    generator = random.Random(1)
    waits = [delay(4, None, generator.uniform) for _ in range(1000)]
    assert min(waits) < 0.1
    assert 7.9 < max(waits) <= 8
    assert 3.5 < sum(waits) / len(waits) < 4.5


def test_retry_after_is_a_floor_and_clamped() -> None:
    assert delay(1, 30, lambda least, most: most) == 30
    assert delay(9, 30, lambda least, most: most) == 256
    assert delay(1, 1e9, lambda least, most: most) == 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("999999999999999999999999", 3600),
        (formatdate(NOW / 1e6 + 90, usegmt=True), 90),
        (formatdate(NOW / 1e6 + 90).replace("+0000", "-0000"), 90),
        (formatdate(NOW / 1e6 - 90, usegmt=True), 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 3600),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Wed, 99 Oct 2099 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert retry_after(Answer(429, {"retry-after": text}), NOW) == seconds


def test_no_header_asks_for_nothing() -> None:
    assert retry_after(Answer(429, {}), NOW) is None
