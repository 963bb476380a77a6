"""The rhythm, by a clock that is moved by hand."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backoff import backoff
from bridge.service.schedule import following, jitter


def test_a_report_is_due_every_period_and_a_late_one_does_not_shift_the_rhythm() -> None:
    assert following(10.0, 5.0, 10.0) == 15.0
    assert following(10.0, 5.0, 12.5) == 15.0
    assert following(10.0, 5.0, 14.999) == 15.0
    assert following(10.0, 5.0, 3.0) == 15.0


def test_what_was_missed_is_skipped() -> None:
    assert following(10.0, 5.0, 15.0) == 20.0
    assert following(10.0, 5.0, 27.0) == 30.0


def test_a_fleet_is_spread_evenly_over_the_jitter() -> None:
    late = [jitter(f"{number}.{number * 7}", 100.0) for number in range(1_000)]
    assert all(0 <= each < 100 for each in late)
    tenths = Counter(int(each // 10) for each in late)
    assert len(tenths) == 10
    assert max(tenths.values()) < 150


@given(
    first=st.floats(1, 1e9),
    period=st.floats(0.001, 31_536_000),
    ticks=st.integers(0, 100_000),
)
def test_no_rounding_makes_a_report_due_twice_or_lets_one_out(first: float, period: float, ticks: int) -> None:
    now = first + ticks * period
    due = following(first, period, now)
    assert due > now
    # floats near `due` lie that far apart
    assert due - now == pytest.approx(period, abs=1e-9 * due)


def test_the_back_off_doubles_to_a_minute() -> None:
    assert list(islice(backoff(1.0, 60.0), 9)) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_back_off_is_never_longer_than_the_period() -> None:
    assert list(islice(backoff(1.0, 5.0), 5)) == [1, 2, 4, 5, 5]
    assert list(islice(backoff(1.0, 0.5), 3)) == [0.5, 0.5, 0.5]
