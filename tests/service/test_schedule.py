"""The rhythm, by a clock that is moved by hand."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backoff import backoff
from bridge.config.model import ServiceSection
from bridge.service.schedule import Schedule, jitter

SERVICE = ServiceSection(initial_report=300_000, periodic_report=10_800_000)
START = 1_000.0


def test_the_first_report_is_due_after_initial_report_and_the_others_every_periodic_report() -> None:
    schedule = Schedule.of(SERVICE, START)
    assert schedule.after(START) == START + 300
    assert schedule.after(START + 300) == START + 300 + 10_800
    assert schedule.after(START + 300 + 10_800) == START + 300 + 2 * 10_800


def test_a_late_report_does_not_shift_the_rhythm() -> None:
    schedule = Schedule(10.0, 5.0)
    assert schedule.after(12.5) == 15.0
    assert schedule.after(14.999) == 15.0


def test_a_fleet_is_spread_evenly_over_the_jitter() -> None:
    late = [jitter(f"{number}.{number * 7}", 100.0) for number in range(1_000)]
    assert all(0 <= each < 100 for each in late)
    tenths = Counter(int(each // 10) for each in late)
    assert len(tenths) == 10
    assert max(tenths.values()) < 150


def test_what_was_missed_is_skipped_and_counted() -> None:
    schedule = Schedule(10.0, 5.0)
    assert schedule.after(27.0) == 30.0
    assert schedule.missed(10.0, 27.0) == 3  # 15, 20 and 25
    assert schedule.missed(10.0, 14.0) == 0


@given(
    first=st.floats(1, 1e9),
    period=st.floats(0.001, 31_536_000),
    ticks=st.integers(0, 100_000),
)
def test_no_rounding_makes_a_report_due_twice_or_lets_one_out(first: float, period: float, ticks: int) -> None:
    schedule = Schedule(first, period)
    due = first + ticks * period
    following = schedule.after(due)
    assert following > due
    # floats near `following` lie that far apart
    assert following - due == pytest.approx(period, abs=1e-9 * following)


def test_a_new_period_counts_from_the_last_report_due() -> None:
    schedule = Schedule.of(SERVICE, START)
    last = START + 300 + 10_800
    changed = schedule.changed(ServiceSection(periodic_report=60_000), START, last + 90)
    assert changed.after(last + 90) == last + 120


def test_before_the_first_report_new_times_count_from_the_start() -> None:
    schedule = Schedule.of(SERVICE, START)
    changed = schedule.changed(ServiceSection(initial_report=60_000, periodic_report=30_000), START, START + 10)
    assert changed == Schedule(START + 60, 30.0)


def test_the_back_off_doubles_to_a_minute() -> None:
    assert list(islice(backoff(1.0, 60.0), 9)) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_back_off_is_never_longer_than_the_period() -> None:
    assert list(islice(backoff(1.0, 5.0), 5)) == [1, 2, 4, 5, 5]
    assert list(islice(backoff(1.0, 0.5), 3)) == [0.5, 0.5, 0.5]
