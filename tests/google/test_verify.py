"""Verdicts: processed only where the property has counted everything, and missing only after the time it may take."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.ga4 import Ga4Destination
from bridge.google.verify import LIVE_WAIT, LONGEST, Sent, Word, judge_days, judge_live, sent
from bridge.secret import Secret
from bridge.state.queue import Outcome, Settled
from bridge.state.state import State
from tests.delivery.support import NOW, Hands, keep, report

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
WARSAW = ZoneInfo("Europe/Warsaw")
MINUTE = timedelta(minutes=1)
ONE = Counter({"host_count": 1, "module_with_opt": 3})


def made(age: timedelta) -> Sent:
    return Sent(AT - age, ONE)


def live(found: Counter[str], *ages: timedelta) -> Word:
    return judge_live("G-A", [made(age) for age in ages], found, AT).word


def test_the_live_report_proves_arrival() -> None:
    assert live(ONE, MINUTE) is Word.PROCESSED
    assert live(ONE + ONE, MINUTE, 10 * MINUTE) is Word.PROCESSED
    assert live(ONE + Counter(other=5), MINUTE) is Word.PROCESSED, "others send to the property too"


def test_what_was_just_sent_is_not_missing_yet() -> None:
    assert live(Counter(), LIVE_WAIT) is Word.NOT_YET
    assert live(ONE, LIVE_WAIT, 10 * MINUTE) is Word.NOT_YET
    assert live(Counter(), LIVE_WAIT, 10 * MINUTE) is Word.NOTHING


def test_what_is_missing_for_too_long_is_named() -> None:
    verdict = judge_live("G-A", [made(10 * MINUTE)], Counter(host_count=1, module_with_opt=1), AT)
    assert (verdict.word, verdict.missing, verdict.delivered, verdict.counted) == (
        Word.PARTLY,
        {"module_with_opt": 2},
        4,
        2,
    )
    assert verdict.overdue


def days(found: dict[str, Counter[str]], *ages: timedelta) -> Word:
    return judge_days("G-A", [made(age) for age in ages], found, WARSAW, AT).word


def test_reports_are_found_in_their_minute_of_the_propertys_time_zone() -> None:
    # Clocks were put forward that night: 12:00 UTC is 14:00 there, the day before 13:00.
    assert days({"202603291300": ONE, "202603281300": ONE}, timedelta(hours=1), timedelta(days=1)) is Word.PROCESSED
    assert days({"202603291100": ONE}, timedelta(hours=1)) is Word.NOT_YET


def test_two_reports_of_a_minute_have_to_be_counted_both() -> None:
    old = LONGEST + timedelta(hours=1)
    minute = f"{(AT - old).astimezone(WARSAW):%Y%m%d%H%M}"
    assert days({minute: ONE}, old, old) is Word.PARTLY
    assert days({minute: ONE + ONE}, old, old) is Word.PROCESSED


@pytest.mark.parametrize(("age", "word"), [(LONGEST, Word.NOT_YET), (LONGEST + MINUTE, Word.NOTHING)])
def test_a_report_is_missing_after_two_days(age: timedelta, word: Word) -> None:
    assert days({}, age) is word


counters = st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)).map(Counter)


@given(st.lists(st.tuples(st.integers(0, 29), counters), min_size=1, max_size=4), counters)
def test_processed_is_said_only_where_everything_is_counted(
    reports: list[tuple[int, Counter[str]]], found: Counter[str]
) -> None:
    verdict = judge_live("G-A", [Sent(AT - age * MINUTE, events) for age, events in reports], found, AT)
    delivered = sum((events for _, events in reports), Counter[str]())
    assert (verdict.word is Word.PROCESSED) == (delivered <= found)
    assert verdict.counted == (delivered & found).total()


def test_of_each_report_just_the_events_are_compared_that_were_delivered(tmp_path: Path) -> None:
    to = Ga4Destination("G-AAAA1", Secret("x"), "https://relay.example/mp/collect")
    moments = iter(range(4))

    def batches(state: State) -> list[Settled]:
        return [Settled(batch, Outcome.DELIVERED) for batch in state.queue.take(to.id, 10)]

    with State.open(tmp_path, clock=Hands().clock) as state:

        def kept(events: int) -> list[Settled]:
            keep(state, report(events, NOW - next(moments) * 1_000_000), [to])
            return batches(state)

        state.queue.settle(to.id, kept(3))
        whole, rest = kept(30)
        state.queue.settle(to.id, [whole, rest._replace(outcome=Outcome.REJECTED, error="no")])
        first, *_ = kept(30)
        state.queue.settle(to.id, [first])
        found = sent(state, to.id, datetime.fromtimestamp(0, UTC))
    assert [one.events["module_with_opt"] for one in found] == [25, 25, 3], "5 were refused, 5 are queued"
