"""Batches are claimed by one owner at a time, settled once, and given up only for a reason that is counted."""

from pathlib import Path

import pytest

from bridge.delivery.drops import LEASE, Bounds
from bridge.delivery.queue import Pause, Settled
from bridge.delivery.records import report as recorded
from bridge.delivery.records import status
from bridge.delivery.retry import Verdict
from bridge.delivery.store import Store
from tests.delivery.support import DAY, HOUR, NOW, Hands, destination, keep, report

A, B = destination("http://a/mp/collect", "G-AAAA"), destination("http://b/mp/collect", "G-BBBB")


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def store(tmp_path: Path, hands: Hands) -> Store:
    return Store.open(tmp_path / "state", clock=hands.clock)


def drops(store: Store) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (to.name, drop.reason): (drop.batches, drop.events) for to in status(store).destinations for drop in to.drops
    }


def test_what_one_holds_no_other_gets(tmp_path: Path, hands: Hands, store: Store) -> None:
    keep(store, report(100, NOW), [A])
    other = Store.open(tmp_path / "state", clock=hands.clock)
    mine = store.queue.claim(A.id, "me", 3)
    assert len(mine) == 3
    theirs = other.queue.claim(A.id, "you", 10)
    assert len(theirs) == 1
    assert not {one.id for one in mine} & {one.id for one in theirs}
    assert store.queue.waiting(A.id).claimed == 4


def test_a_release_frees_what_was_not_settled(store: Store) -> None:
    keep(store, report(100, NOW), [A])
    first, *_ = store.queue.claim(A.id, "me", 4)
    store.queue.settle(A.id, "me", [Settled(first, Verdict.DELIVERED)])
    store.queue.release("me")
    assert [one.first for one in store.queue.claim(A.id, "you", 10)] == [25, 50, 75]


def test_the_claims_of_a_dead_process_come_free_after_the_lease(hands: Hands, store: Store) -> None:
    keep(store, report(1, NOW), [A])
    assert store.queue.claim(A.id, "dead", 10)
    hands.pass_time(LEASE - 1)
    assert not store.queue.claim(A.id, "me", 10)
    hands.pass_time(1)
    assert store.queue.claim(A.id, "me", 10)


def test_settling_renews_the_lease_on_the_rest(hands: Hands, store: Store) -> None:
    keep(store, report(50, NOW), [A])
    first, _ = store.queue.claim(A.id, "slow", 10)
    hands.pass_time(LEASE - 1)
    store.queue.settle(A.id, "slow", [Settled(first, Verdict.DELIVERED)])
    hands.pass_time(LEASE - 1)
    assert not store.queue.claim(A.id, "me", 10)


@pytest.mark.parametrize("days", [-400, -2, 2, 400])
def test_a_lease_does_not_care_for_the_time_of_day(hands: Hands, store: Store, days: int) -> None:
    keep(store, report(1, NOW), [A])
    assert store.queue.claim(A.id, "other", 10)
    hands.jump(days * DAY)
    assert not store.queue.claim(A.id, "me", 10)
    hands.pass_time(LEASE)
    assert store.queue.claim(A.id, "me", 10)


def test_the_claims_from_before_a_restart_of_the_machine_are_free(tmp_path: Path, hands: Hands, store: Store) -> None:
    hands.pass_time(400 * DAY)
    keep(store, report(1, hands.wall), [A])
    assert store.queue.claim(A.id, "before", 10)
    hands.elapsed, hands.boot = 10, "second"
    with Store.open(tmp_path / "state", clock=hands.clock) as after:
        assert after.queue.claim(A.id, "after", 10)


def test_a_batch_that_fails_steps_behind_the_others(store: Store) -> None:
    keep(store, report(75, NOW), [A])
    poison, *_ = store.queue.claim(A.id, "me", 1)
    store.queue.settle(A.id, "me", [Settled(poison, Verdict.RETRY, "500")], pause=Pause(1))
    assert [one.first for one in store.queue.claim(A.id, "me", 10)] == [25, 50, 0]


def test_what_another_process_settled_meanwhile_is_not_counted_twice(hands: Hands, store: Store) -> None:
    number = keep(store, report(1, NOW), [A])
    (mine,) = store.queue.claim(A.id, "asleep", 10)
    hands.pass_time(LEASE)
    (theirs,) = store.queue.claim(A.id, "awake", 10)
    store.queue.settle(A.id, "awake", [Settled(theirs, Verdict.DELIVERED)])
    store.queue.settle(A.id, "asleep", [Settled(mine, Verdict.DELIVERED)])
    found = recorded(store, number)
    assert found is not None
    assert [(one.delivered, one.queued) for one in found[0].outcomes] == [(1, 0)]


def test_what_another_process_holds_meanwhile_is_not_taken_from_it(hands: Hands, store: Store) -> None:
    keep(store, report(1, NOW), [A])
    (mine,) = store.queue.claim(A.id, "asleep", 10)
    hands.pass_time(LEASE)
    assert store.queue.claim(A.id, "awake", 10)
    store.queue.settle(A.id, "asleep", [Settled(mine, Verdict.RETRY, "500")], pause=Pause(1))
    assert not store.queue.claim(A.id, "third", 10)


def test_a_dead_letter_is_kept_and_shown_with_its_events_and_reason(store: Store) -> None:
    number = keep(store, report(60, NOW), [A, B])
    _, second, _ = store.queue.claim(A.id, "me", 10)
    store.queue.settle(A.id, "me", [Settled(second, Verdict.REJECTED, "answered 400")])
    found = recorded(store, number)
    assert found is not None
    record, _, dead = found
    assert [(one.destination, one.first, one.events, one.reason, one.at) for one in dead] == [
        (A.name, 25, 25, "answered 400", NOW)
    ]
    to_a, to_b = record.outcomes
    assert (to_a.rejected, to_a.queued, to_a.error) == (25, 35, "answered 400")
    assert (to_b.rejected, to_b.queued, to_b.error) == (0, 60, None)
    state, _ = status(store).destinations
    assert (state.dead_batches, state.dead_events, state.batches, state.error) == (1, 25, 2, "answered 400")


def test_a_failure_is_remembered_until_the_next_success(hands: Hands, store: Store) -> None:
    keep(store, report(50, NOW), [A])
    first, second = store.queue.claim(A.id, "me", 10)
    store.queue.settle(A.id, "me", [Settled(first, Verdict.RETRY, "answered 503")], pause=Pause(90, asked=True))
    (state,) = status(store).destinations
    assert (state.error, state.error_at, state.retry_at) == ("answered 503", NOW, NOW + 90_000_000)
    assert store.queue.waiting(A.id).not_before == NOW + 90_000_000
    store.queue.settle(A.id, "me", [Settled(second, Verdict.DELIVERED)])
    (state,) = status(store).destinations
    assert (state.error, state.retry_at, state.delivered_at) == ("answered 503", None, NOW)
    assert store.queue.waiting(A.id).not_before == 0


def test_patience_from_before_the_clock_went_back_is_void(hands: Hands, store: Store) -> None:
    keep(store, report(1, NOW), [A])
    (one,) = store.queue.claim(A.id, "me", 10)
    store.queue.settle(A.id, "me", [Settled(one, Verdict.RETRY, "503")], pause=Pause(3600, asked=True))
    assert store.queue.waiting(A.id).not_before > hands.wall
    hands.jump(-1)
    assert store.queue.waiting(A.id).not_before == 0


def test_batches_expire_after_71_hours_and_are_counted(hands: Hands, store: Store) -> None:
    number = keep(store, report(30, hands.wall), [A, B])
    hands.pass_time(71 * HOUR - 1)
    assert len(store.queue.claim(A.id, "me", 1)) == 1
    store.queue.release("me")
    hands.pass_time(1)
    assert store.queue.claim(A.id, "me", 10) == ()
    assert drops(store) == {(A.name, "expired"): (2, 30), (B.name, "expired"): (2, 30)}
    found = recorded(store, number)
    assert found is not None
    assert [(one.dropped, one.queued, one.error) for one in found[0].outcomes] == [(30, 0, "dropped: expired")] * 2


def test_what_is_being_sent_does_not_expire_under_way(tmp_path: Path, hands: Hands, store: Store) -> None:
    keep(store, report(1, hands.wall), [A])
    hands.pass_time(71 * HOUR - 1)
    (one,) = store.queue.claim(A.id, "me", 1)
    hands.pass_time(1)
    assert store.queue.claim(A.id, "you", 1) == ()
    store.queue.settle(A.id, "me", [Settled(one, Verdict.DELIVERED)])
    assert drops(store) == {}


@pytest.mark.parametrize("days", [-400, -4, -1, 1, 4, 400])
def test_a_clock_that_jumps_expires_nothing(hands: Hands, store: Store, days: int) -> None:
    keep(store, report(1, hands.wall), [A])
    hands.jump(days * DAY)
    keep(store, report(1, hands.wall), [A])
    hands.jump(-days * DAY)
    keep(store, report(1, hands.wall), [A])
    hands.pass_time(70 * HOUR)
    assert len(store.queue.claim(A.id, "me", 10)) == 3
    assert drops(store) == {}


def test_after_a_restart_of_the_machine_the_time_of_day_decides(tmp_path: Path, hands: Hands, store: Store) -> None:
    keep(store, report(1, hands.wall), [A])
    hands.wall, hands.elapsed, hands.boot = hands.wall + 71 * HOUR, 5, "second"
    with Store.open(tmp_path / "state", clock=hands.clock) as after:
        assert after.queue.claim(A.id, "me", 10) == ()
        assert drops(after) == {(A.name, "expired"): (1, 1)}


def test_beyond_the_bound_of_batches_the_oldest_go_whosever_they_are(tmp_path: Path, hands: Hands) -> None:
    with Store.open(tmp_path / "state", clock=hands.clock, bounds=Bounds(batches=5)) as store:
        keep(store, report(25, NOW, tag="oldest"), [A, B])
        keep(store, report(50, NOW, tag="newer"), [A])
        keep(store, report(50, NOW, tag="newest"), [A])
        assert drops(store) == {(A.name, "too many batches"): (1, 25)}
        keep(store, report(1, NOW), [A])
        assert drops(store) == {(A.name, "too many batches"): (1, 25), (B.name, "too many batches"): (1, 25)}
        bodies = [one.body for one in store.queue.claim(A.id, "me", 10)]
        assert [b"newer" in body for body in bodies] == [True, True, False, False, False]


def test_beyond_the_bound_of_bytes_the_oldest_go(tmp_path: Path, hands: Hands) -> None:
    size = len(A.batches(report(25, NOW))[0].body)
    with Store.open(tmp_path / "state", clock=hands.clock, bounds=Bounds(bytes=2 * size)) as store:
        first = keep(store, report(25, NOW), [A])
        for _ in range(2):
            keep(store, report(25, NOW), [A])
        assert drops(store) == {(A.name, "too many bytes"): (1, 25)}
        found = recorded(store, first)
        assert found is not None
        assert found[0].outcomes[0].error == "dropped: too many bytes"


def test_drops_add_up_over_time(tmp_path: Path, hands: Hands) -> None:
    with Store.open(tmp_path / "state", clock=hands.clock, bounds=Bounds(batches=1)) as store:
        for _ in range(4):
            keep(store, report(2, NOW), [A])
        assert drops(store) == {(A.name, "too many batches"): (3, 6)}
