"""Batches are taken in order, settled once, and given up only for a reason that is counted."""

from pathlib import Path

import pytest

from bridge.state.queue import Bounds, Outcome, Settled, Standing
from bridge.state.state import State
from tests.delivery.support import DAY, HOUR, NOW, Hands, destination, keep, report

A, B = destination("http://a/mp/collect", "G-AAAA"), destination("http://b/mp/collect", "G-BBBB")


def drops(store: State) -> dict[tuple[str, str], int]:
    return {(to.name, reason): events for to in store.status().destinations for reason, events in to.dropped.items()}


def test_a_batch_that_fails_steps_behind_the_others(store: State) -> None:
    keep(store, report(75, NOW), [A])
    poison, *_ = store.queue.take(A.id, 1)
    store.queue.settle(A.id, [Settled(poison, Outcome.RETRY, "500")])
    assert [one.first for one in store.queue.take(A.id, 10)] == [25, 50, 0]


def test_a_dead_letter_is_kept_and_shown_with_its_events_and_reason(store: State) -> None:
    number = keep(store, report(60, NOW), [A, B])
    _, second, _ = store.queue.take(A.id, 10)
    store.queue.settle(A.id, [Settled(second, Outcome.REJECTED, "answered 400")])
    found = store.report(number)
    assert found is not None
    record, _, dead = found
    assert [(one.destination, one.first, one.events, one.reason, one.at) for one in dead] == [
        (A.name, 25, 25, "answered 400", NOW)
    ]
    to_a, to_b = record.deliveries
    assert (to_a.rejected, to_a.queued, to_a.error) == (25, 35, "answered 400")
    assert (to_b.rejected, to_b.queued, to_b.error) == (0, 60, None)
    state, _ = store.status().destinations
    assert (state.rejected, state.queued_batches, state.error) == (25, 2, "answered 400")


def test_a_failure_is_remembered_until_the_next_success(hands: Hands, store: State) -> None:
    keep(store, report(50, NOW), [A])
    first, second = store.queue.take(A.id, 10)
    store.queue.settle(A.id, [Settled(first, Outcome.RETRY, "answered 503")])
    store.queue.pause(A.id, 90.0, asked=60.0)
    (state,) = store.status().destinations
    assert (state.error, state.error_at, state.retry_at) == ("answered 503", NOW, NOW + 90_000_000)
    assert store.queue.standing(A.id) == Standing(failures=1, asked=60.0)
    store.queue.settle(A.id, [Settled(second, Outcome.DELIVERED)])
    (state,) = store.status().destinations
    assert (state.error, state.retry_at, state.delivered_at) == ("answered 503", None, NOW)
    assert store.queue.standing(A.id) == Standing()


def test_a_retry_after_from_before_the_clock_went_back_is_void(hands: Hands, store: State) -> None:
    keep(store, report(1, NOW), [A])
    store.queue.pause(A.id, 3600.0, asked=3600.0)
    assert store.queue.standing(A.id).asked == 3600
    hands.jump(-1)
    assert store.queue.standing(A.id).asked == 0


def test_batches_expire_after_71_hours_and_are_counted(hands: Hands, store: State) -> None:
    number = keep(store, report(30, hands.wall), [A, B])
    hands.pass_time(71 * HOUR - 1)
    assert len(store.queue.take(A.id, 1)) == 1
    hands.pass_time(1)
    assert store.queue.take(A.id, 10) == ()
    assert drops(store) == {(A.name, "expired"): 30, (B.name, "expired"): 30}
    found = store.report(number)
    assert found is not None
    assert [(one.dropped, one.queued, one.error) for one in found[0].deliveries] == [(30, 0, "given up: expired")] * 2


@pytest.mark.parametrize("days", [-400, -4, -1, 1, 4, 400])
def test_a_clock_that_jumps_expires_nothing(hands: Hands, store: State, days: int) -> None:
    keep(store, report(1, hands.wall), [A])
    hands.jump(days * DAY)
    keep(store, report(1, hands.wall), [A])
    hands.jump(-days * DAY)
    keep(store, report(1, hands.wall), [A])
    hands.pass_time(70 * HOUR)
    assert len(store.queue.take(A.id, 10)) == 3
    assert drops(store) == {}


def test_after_a_restart_of_the_machine_the_time_of_day_decides(state: Path, hands: Hands, store: State) -> None:
    keep(store, report(1, hands.wall), [A])
    hands.wall, hands.elapsed, hands.boot = hands.wall + 71 * HOUR, 5, "second"
    with State.open(state, clock=hands.clock) as after:
        assert after.queue.take(A.id, 10) == ()
        assert drops(after) == {(A.name, "expired"): 1}


def test_beyond_the_bound_of_batches_the_oldest_go_whosever_they_are(state: Path, hands: Hands) -> None:
    with State.open(state, clock=hands.clock, bounds=Bounds(batches=5)) as store:
        keep(store, report(25, NOW, tag="oldest"), [A, B])
        keep(store, report(50, NOW, tag="newer"), [A])
        keep(store, report(50, NOW, tag="newest"), [A])
        assert drops(store) == {(A.name, "too many batches"): 25}
        keep(store, report(1, NOW), [A])
        assert drops(store) == {(A.name, "too many batches"): 25, (B.name, "too many batches"): 25}
        bodies = [one.body for one in store.queue.take(A.id, 10)]
        assert [b"newer" in body for body in bodies] == [True, True, False, False, False]
        keep(store, report(50, NOW), [A])
        assert drops(store)[A.name, "too many batches"] == 75, "they add up over time"


def test_beyond_the_bound_of_bytes_the_oldest_go(state: Path, hands: Hands) -> None:
    size = len(A.batches(report(25, NOW))[0].body)
    with State.open(state, clock=hands.clock, bounds=Bounds(bytes=2 * size)) as store:
        first, *_ = (keep(store, report(25, NOW), [A]) for _ in range(3))
        assert drops(store) == {(A.name, "too many bytes"): 25}
        found = store.report(first)
        assert found is not None
        assert found[0].deliveries[0].error == "given up: too many bytes"
