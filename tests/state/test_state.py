"""A report is kept whole or not at all, with its totals, its history and a queue row per batch and destination."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bridge.delivery.batches import batches
from bridge.delivery.errors import LimitError
from bridge.mongooseim.facts import Incarnation
from bridge.report.model import Event, Note, Report
from bridge.state.errors import StateBusy, StateUnusable
from bridge.state.queue import Bounds
from bridge.state.state import State
from bridge.state.status import NodeStatus, ServiceStatus
from bridge.state.totals import remember
from tests.delivery.support import DAY, HOUR, NOW, Hands, destination, keep, report, targets

A, B = destination("http://a/mp/collect", "G-AAAA"), destination("http://b/mp/collect", "G-BBBB")


def test_directory_and_file_are_for_their_owner_only(state: Path, store: State) -> None:
    keep(store, report(), [A])
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    files = [path for path in state.iterdir() if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_file_waits_for_the_disk_and_has_a_write_ahead_log(state: Path, store: State) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    keep(store, report(), [A])
    assert store.database.read(pragmas) == ["wal", 2, 1, 2]


def test_a_command_that_only_looks_sees_what_is_not_there_as_empty_and_creates_nothing(state: Path) -> None:
    with State.open(state, look=True) as looked:
        assert (looked.status().reports, looked.kept_client_id(), looked.stanza_totals()) == ((), None, {})
    assert not state.exists()


def test_the_client_id_is_made_once(state: Path, store: State) -> None:
    first = store.client_id()
    left, _, right = first.partition(".")
    assert left.isdigit()
    assert right.isdigit()
    with State.open(state) as again:
        assert again.client_id() == first
    with State.open(state / "other") as other:
        assert other.client_id() != first


def test_the_totals_are_those_of_the_last_report(store: State) -> None:
    assert store.stanza_totals() == {}
    store.add(report(total=5))
    assert store.stanza_totals() == {Incarnation("mim@host", 7): {"xmppMessageSent": 5}}
    several = {
        Incarnation("a@host", 1): {"xmppMessageSent": 2**63 - 1, "xmppIqSent": 0},
        Incarnation("a@host", 2): {"xmppIqSent": 4},
    }
    store.add(Report("1.2", NOW, (), several, nodes={"a@host": None}))
    assert store.stanza_totals() == several


def test_every_destination_gets_every_batch_exactly_as_it_is_previewed(store: State) -> None:
    a_report = report(60, NOW)
    keep(store, a_report, [A, B])
    for to in (A, B):
        claimed = store.queue.take(to.id, 100)
        assert [(one.first, one.events, one.body) for one in claimed] == [
            (batch.first, batch.events, batch.body) for batch in batches(a_report)
        ]


def test_nothing_is_sent_before_it_is_published(store: State) -> None:
    number = store.add(report(collected_at=NOW), targets(report(collected_at=NOW), [A]))
    assert store.queue.take(A.id, 10) == ()
    assert store.unpublished() == {number: report().events}
    store.published(number)
    assert store.unpublished() == {}
    assert len(store.queue.take(A.id, 10)) == 1


def test_a_report_that_breaks_a_limit_changes_nothing(store: State) -> None:
    store.add(report(total=1), targets(report(total=1), [A]))
    bad = Report("1.2", NOW, (Event("error", {}),), {Incarnation("x@y", 1): {"xmppIqSent": 1}})
    with pytest.raises(LimitError):
        store.add(bad, targets(bad, [A]))
    assert store.stanza_totals() == report(total=1).totals
    assert len(store.status().reports) == 1


def test_the_history_has_events_nodes_notes_and_outcomes(store: State) -> None:
    a_report = report(30, NOW)
    first = keep(store, a_report, [A, B])
    second = keep(store, report(1, NOW + HOUR), [])
    latest, earlier = store.status().reports
    assert (latest.id, earlier.id) == (second, first)
    assert latest.deliveries == ()
    found = store.report(first)
    assert found is not None
    record, events, dead = found
    assert record == earlier
    assert events == a_report.events
    assert dead == ()
    assert (record.collected_at, record.client_id, record.events) == (NOW, "12.34", 30)
    assert (record.nodes, record.notes) == (("mim@host",), (Note("note", "", "a note"),))
    assert [(one.destination, one.queued, one.delivered) for one in record.deliveries] == [
        (A.name, 30, 0),
        (B.name, 30, 0),
    ]
    assert store.report(99) is None


def test_status_tells_what_waits_and_since_when(store: State) -> None:
    keep(store, report(30, NOW), [A])
    keep(store, report(10, NOW + HOUR), [A, B])
    service = ServiceStatus("1.0", NOW, NOW, 3600.0, "report = true", next_report_at=NOW + DAY, reports=2)
    store.keep_service(service)
    found = store.status()
    assert found.last_report is not None
    assert found.last_report.collected_at == NOW + HOUR
    assert found.service == service
    to_a, to_b = found.destinations
    assert (to_a.name, to_a.queued_batches, to_a.queued_events, to_a.oldest) == (A.name, 3, 40, NOW)
    assert (to_b.name, to_b.queued_batches, to_b.queued_events, to_b.oldest) == (B.name, 1, 10, NOW + HOUR)
    assert to_a.queued_bytes == sum(
        len(batch.body) for batch in (*batches(report(30, NOW)), *batches(report(10, NOW + HOUR)))
    )
    store.keep_service(None)
    assert store.status().service is None


def test_reports_are_forgotten_when_they_are_old_and_need_nothing_any_more(state: Path, hands: Hands) -> None:
    with State.open(state, clock=hands.clock, bounds=Bounds(history_days=10)) as store:
        done = keep(store, report(1, hands.wall), [])
        unpublished = store.add(report(1, hands.wall))
        hands.pass_time(10 * DAY - 1)
        keep(store, report(1, hands.wall), [])
        assert store.report(done) is not None
        hands.pass_time(1)
        keep(store, report(1, hands.wall), [])
        assert store.report(done) is None
        assert store.report(unpublished) is not None


def test_the_file_shrinks_again_after_an_outage(state: Path, hands: Hands) -> None:
    path = state / "bridge.sqlite3"
    with State.open(state, clock=hands.clock, bounds=Bounds(batches=2)) as store:
        with State.open(state, clock=hands.clock) as unbounded:
            large_report = report(30_000, hands.wall)
            unbounded.add(large_report, targets(large_report, [A]))
        large = path.stat().st_size
        keep(store, report(1, hands.wall), [A])
        store.close()
    assert path.stat().st_size < large / 3


async def test_only_one_report_at_a_time_and_who_waits_is_told_by_whom(state: Path, store: State) -> None:
    other = State.open(state)
    async with store.reporting():
        with pytest.raises(StateBusy, match=r"process \d+ holds .*reporting\.lock for more than 0\.1 s"):
            async with other.reporting(wait=0.1):
                pass
        waiter = asyncio.create_task(_report_once(other))
        await asyncio.sleep(0)
        assert not waiter.done()
    await asyncio.wait_for(waiter, 5)


async def _report_once(store: State) -> None:
    async with store.reporting(wait=5):
        pass


def test_who_does_not_answer_is_missing_until_forgotten_or_for_a_week(state: Path, hands: Hands, store: State) -> None:
    def seen(*nodes: str, missing: dict[str, str] | None = None) -> tuple[NodeStatus, ...]:
        names = dict.fromkeys(nodes, "6.8.0")
        store.add(Report("1.2", hands.wall, (), {}, nodes=names, missing=missing or {}))
        return store.status().nodes

    first = hands.wall
    assert [node.missing_since for node in seen("a@host", "b@host", "c@host")] == [None] * 3
    hands.pass_time(HOUR)
    a, b, c = seen("a@host", missing={"b@host": "no answer"})
    assert (a.seen_at, a.missing_since) == (first + HOUR, None)
    assert b == NodeStatus("b@host", "6.8.0", first, first + HOUR, "no answer")
    assert (c.seen_at, c.missing_since) == (first, first + HOUR)
    hands.pass_time(HOUR)
    assert seen("a@host", "c@host", missing={"b@host": "no answer"})[1].missing_since == first + HOUR
    assert store.forget_node("b@host")
    assert not store.forget_node("c@host"), "it is not missing"
    assert [node.name for node in store.status().nodes] == ["a@host", "c@host"]
    hands.pass_time(HOUR)
    seen("a@host")
    hands.pass_time(7 * DAY)
    assert [node.name for node in seen("a@host")] == ["a@host"]


def write_old(state: Path, name: str) -> None:
    state.mkdir()
    with closing(sqlite3.connect(state / "bridge.sqlite3")) as old:
        old.executescript((Path(__file__).parent / name).read_text())


def test_a_file_of_the_first_format_is_taken_over_with_all_that_is_in_it(state: Path, hands: Hands) -> None:
    write_old(state, "format_1.sql")
    with State.open(state, clock=hands.clock, look=True) as looked:
        before = looked.status()
    with State.open(state, clock=hands.clock) as opened:
        assert opened.status() == before
        assert opened.client_id() == "11.22"
        assert opened.stanza_totals() == {Incarnation("mim@host", 7): {"xmppMessageSent": 5}}
        (to,) = opened.status().destinations
        assert (to.delivered, to.rejected, to.dropped, to.queued_events) == (25, 10, {"expired": 7}, 5)
        assert (to.failing_since, to.failures) == (NOW, 1)
        assert [note.what for note in opened.status().reports[0].notes] == ["a note"]
        assert [one.events for one in opened.queue.take(A.id, 10)] == [5]


def test_a_file_of_the_third_format_is_taken_over_with_what_became_of_each_batch(state: Path, hands: Hands) -> None:
    write_old(state, "format_3.sql")
    with State.open(state, clock=hands.clock) as opened:
        deliveries = [report.deliveries[0] for report in opened.status().reports]
        numbers = [(one.events, one.delivered, one.rejected, one.dropped, one.queued) for one in deliveries]
        assert numbers == [(5, 0, 0, 0, 5), (5, 0, 0, 5, 0), (10, 0, 0, 10, 0), (30, 24, 6, 0, 0)]
        assert [one.error for one in deliveries] == [
            "answered 503",
            "given up: expired",
            "given up: too many batches",
            "answered 400",
        ]
        assert [len(found[2]) for number in (1, 2, 3, 4) if (found := opened.report(number))] == [2, 1, 0, 0]
        assert [event.params["module"] for event in opened.delivered(1, A.id)] == [
            f"x.{number}" for number in range(25) if number != 3
        ]
        (to,) = opened.status().destinations
        assert to.counters == {"delivered": 24, "expired": 5, "rejected": 6, "too many batches": 10}
        assert [(one.report, one.events) for one in opened.queue.take(A.id, 10)] == [(4, 5)]


def test_a_queue_and_a_lock_that_are_links_are_refused_and_their_targets_stay_as_they_are(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    for name in ("bridge.sqlite3", "store.lock"):
        for plant in (Path.symlink_to, Path.hardlink_to):
            state = tmp_path / f"{name}-{plant.__name__}"
            state.mkdir()
            plant(state / name, victim)
            with pytest.raises(StateUnusable, match="link"):
                State.open(state)
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o644)


def add_report_of(store: State, hands: Hands, *nodes: str) -> None:
    totals = remember(store.stanza_totals(), {Incarnation(node, 1): {"xmppMessageSent": 5} for node in nodes})
    keep(store, Report("1.2", hands.wall, (Event("host_count", {"value": 1}),), totals, dict.fromkeys(nodes)), [])


def test_a_node_that_is_away_keeps_its_counters_for_as_long_as_the_history_knows_it(state: Path, hands: Hands) -> None:
    with State.open(state, bounds=Bounds(history_days=30), clock=hands.clock) as store:
        add_report_of(store, hands, "stays@host", "leaves@host")
        hands.pass_time(29 * DAY)
        add_report_of(store, hands, "stays@host")
        assert set(store.stanza_totals()) == {Incarnation("stays@host", 1), Incarnation("leaves@host", 1)}
        hands.pass_time(2 * DAY)
        add_report_of(store, hands, "stays@host")
        assert set(store.stanza_totals()) == {Incarnation("stays@host", 1)}


def test_a_cluster_whose_nodes_have_new_names_every_day_does_not_fill_the_state(state: Path, hands: Hands) -> None:
    with State.open(state, bounds=Bounds(history_days=10), clock=hands.clock) as store:
        for day in range(100):
            add_report_of(store, hands, f"pod-{day}@host")
            hands.pass_time(DAY)
        assert len(store.stanza_totals()) <= 11
