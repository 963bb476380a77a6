"""A report is kept whole or not at all, with its totals, its history and a queue row per batch and destination."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bridge.delivery.batches import batches
from bridge.delivery.drops import Bounds
from bridge.delivery.errors import LimitError, NoStore, StoreBusy
from bridge.delivery.records import report as recorded
from bridge.delivery.records import reports, status
from bridge.delivery.store import NEXT_REPORT_AT, SERVICE_SEEN_AT, Store
from bridge.mongooseim.facts import Incarnation
from bridge.report.model import Event, Report
from tests.delivery.support import DAY, HOUR, NOW, SECRET, Hands, destination, keep, report

A, B = destination("http://a/mp/collect", "G-AAAA"), destination("http://b/mp/collect", "G-BBBB")


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def store(tmp_path: Path, hands: Hands) -> Store:
    return Store.open(tmp_path / "state", clock=hands.clock)


def test_directory_and_file_are_for_their_owner_only(tmp_path: Path, store: Store) -> None:
    keep(store, report(), [A])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    files = [path for path in (tmp_path / "state").iterdir() if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_file_waits_for_the_disk_and_has_a_write_ahead_log(tmp_path: Path, store: Store) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    keep(store, report(), [A])
    assert store.database.read(pragmas) == ["wal", 2, 1, 2]


def test_a_command_that_only_looks_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="no report was ever made"):
        Store.open(tmp_path / "state", create=False)
    assert list(tmp_path.iterdir()) == []


def test_the_client_id_is_made_once(tmp_path: Path, store: Store) -> None:
    first = store.client_id()
    left, _, right = first.partition(".")
    assert left.isdigit()
    assert right.isdigit()
    with Store.open(tmp_path / "state") as again:
        assert again.client_id() == first
    with Store.open(tmp_path / "other") as other:
        assert other.client_id() != first


def test_the_totals_are_those_of_the_last_report(store: Store) -> None:
    assert store.stanza_totals() == {}
    store.add(report(total=5), [])
    assert store.stanza_totals() == {Incarnation("mim@host", 7): {"xmppMessageSent": 5}}
    several = {
        Incarnation("a@host", 1): {"xmppMessageSent": 2**63 - 1, "xmppIqSent": 0},
        Incarnation("a@host", 2): {"xmppIqSent": 4},
    }
    store.add(Report("1.2", NOW, (), several, nodes=("a@host",)), [])
    assert store.stanza_totals() == several


def test_every_destination_gets_every_batch_exactly_as_it_is_previewed(store: Store) -> None:
    a_report = report(60, NOW)
    keep(store, a_report, [A, B])
    for to in (A, B):
        claimed = store.queue.claim(to.id, "me", 100)
        assert [(one.first, one.events, one.body) for one in claimed] == [
            (batch.first, batch.events, batch.body) for batch in batches(a_report)
        ]


def test_nothing_is_sent_before_it_is_published(store: Store) -> None:
    number = store.add(report(collected_at=NOW), [A])
    assert store.queue.claim(A.id, "me", 10) == ()
    assert [(one.id, one.events) for one in store.unpublished()] == [(number, report().events)]
    store.published(number)
    assert store.unpublished() == ()
    assert len(store.queue.claim(A.id, "me", 10)) == 1


def test_a_report_that_breaks_a_limit_changes_nothing(store: Store) -> None:
    store.add(report(total=1), [A])
    bad = Report("1.2", NOW, (Event("error", {}),), {Incarnation("x@y", 1): {"xmppIqSent": 1}})
    with pytest.raises(LimitError):
        store.add(bad, [A])
    assert store.stanza_totals() == report(total=1).totals
    assert len(reports(store)) == 1


def test_the_history_has_events_nodes_notes_and_outcomes(store: Store) -> None:
    a_report = report(30, NOW)
    first = keep(store, a_report, [A, B])
    second = keep(store, report(1, NOW + HOUR), [])
    latest, earlier = reports(store)
    assert (latest.id, earlier.id) == (second, first)
    assert latest.outcomes == ()
    found = recorded(store, first)
    assert found is not None
    record, events, dead = found
    assert record == earlier
    assert events == a_report.events
    assert dead == ()
    assert (record.collected_at, record.client_id, record.events) == (NOW, "12.34", 30)
    assert (record.nodes, record.notes) == (("mim@host",), ("a note",))
    assert [(one.destination, one.queued, one.delivered) for one in record.outcomes] == [
        (A.name, 30, 0),
        (B.name, 30, 0),
    ]
    assert recorded(store, 99) is None


def test_status_tells_what_waits_and_since_when(store: Store) -> None:
    keep(store, report(30, NOW), [A])
    keep(store, report(10, NOW + HOUR), [A, B])
    store.put(NEXT_REPORT_AT, str(NOW + DAY))
    store.put(SERVICE_SEEN_AT, str(NOW))
    found = status(store)
    assert found.last_report is not None
    assert found.last_report.collected_at == NOW + HOUR
    assert (found.next_report_at, found.service_seen_at) == (NOW + DAY, NOW)
    to_a, to_b = found.destinations
    assert (to_a.name, to_a.batches, to_a.events, to_a.oldest) == (A.name, 3, 40, NOW)
    assert (to_b.name, to_b.batches, to_b.events, to_b.oldest) == (B.name, 1, 10, NOW + HOUR)
    assert to_a.bytes == sum(len(batch.body) for batch in (*batches(report(30, NOW)), *batches(report(10, NOW + HOUR))))
    store.put(NEXT_REPORT_AT, None)
    assert status(store).next_report_at is None


def test_no_secret_is_in_the_file(tmp_path: Path, store: Store) -> None:
    keep(store, report(), [A])
    store.close()
    for path in (tmp_path / "state").iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_reports_are_forgotten_when_they_are_old_and_need_nothing_any_more(tmp_path: Path, hands: Hands) -> None:
    with Store.open(tmp_path / "state", clock=hands.clock, bounds=Bounds(history_days=10)) as store:
        done = keep(store, report(1, hands.wall), [])
        unpublished = store.add(report(1, hands.wall), [])
        hands.pass_time(10 * DAY - 1)
        keep(store, report(1, hands.wall), [])
        assert recorded(store, done) is not None
        hands.pass_time(1)
        keep(store, report(1, hands.wall), [])
        assert recorded(store, done) is None
        assert recorded(store, unpublished) is not None


def test_the_file_shrinks_again_after_an_outage(tmp_path: Path, hands: Hands) -> None:
    path = tmp_path / "state" / "bridge.sqlite3"
    with Store.open(tmp_path / "state", clock=hands.clock, bounds=Bounds(batches=2)) as store:
        with Store.open(tmp_path / "state", clock=hands.clock) as unbounded:
            unbounded.add(report(20_000, hands.wall), [A])
        large = path.stat().st_size
        keep(store, report(1, hands.wall), [A])
        store.close()
    assert path.stat().st_size < large / 3


async def test_only_one_report_at_a_time_and_who_waits_is_told_by_whom(tmp_path: Path, store: Store) -> None:
    other = Store.open(tmp_path / "state")
    async with store.reporting():
        with pytest.raises(StoreBusy, match=r"process \d+ holds .*reporting\.lock for more than 0\.1 s"):
            async with other.reporting(wait=0.1):
                pass
        waiter = asyncio.create_task(_report_once(other))
        await asyncio.sleep(0)
        assert not waiter.done()
    await asyncio.wait_for(waiter, 5)


async def _report_once(store: Store) -> None:
    async with store.reporting(wait=5):
        pass


def test_a_store_reads_as_plain_sqlite(tmp_path: Path, store: Store) -> None:
    keep(store, report(30), [A])
    with closing(sqlite3.connect(tmp_path / "state" / "bridge.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT COUNT(*) FROM queue").fetchone() == (2,)
