"""What the operator can look up: the state of the queue by destination, and past reports with their outcomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.delivery.store import NEXT_REPORT_AT, SERVICE_SEEN_AT, unpacked

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from bridge.delivery.store import Store
    from bridge.report.model import Event


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was given up for one reason, over all time."""

    reason: str
    batches: int
    events: int
    last_at: int


@dataclass(frozen=True, slots=True)
class DestinationRecord:
    """One destination, configured now or once. Times in µs since 1970, None where there was no such moment."""

    id: str
    name: str
    batches: int = 0
    events: int = 0
    bytes: int = 0
    oldest: int | None = None
    """Collection time of the oldest report that waits."""
    delivered_at: int | None = None
    error: str | None = None
    error_at: int | None = None
    retry_at: int | None = None
    """Set while the destination fails."""
    dead_batches: int = 0
    dead_events: int = 0
    """Refused for good; in the history as long as their reports are."""
    drops: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """What became of a report at a destination, in events; what is in no other number is `queued`."""

    destination: str
    events: int
    delivered: int
    rejected: int
    dropped: int
    queued: int
    settled_at: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """A past report without its events."""

    id: int
    collected_at: int
    published_at: int | None
    client_id: str
    events: int
    nodes: tuple[str, ...]
    notes: tuple[str, ...]
    outcomes: tuple[OutcomeRecord, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A batch that a destination refused for good: which events of the report, and why."""

    destination: str
    first: int
    events: int
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Status:
    """All that `status` shows."""

    last_report: ReportRecord | None
    next_report_at: int | None
    """When the service means to report next, as it said."""
    service_seen_at: int | None
    """When the service last said that it is alive."""
    destinations: tuple[DestinationRecord, ...]


def status(store: Store) -> Status:
    """The present state, read at one moment.

    Raises:
        StoreError: the state file cannot be read.
    """
    return store.database.read(read_status)


def read_status(connection: sqlite3.Connection) -> Status:
    """The same by a connection of another kind, for whoever must not even mend the file."""
    latest = _reports(connection, "SELECT * FROM reports ORDER BY id DESC LIMIT ?", 1)
    return Status(
        latest[0] if latest else None,
        _moment(connection, NEXT_REPORT_AT),
        _moment(connection, SERVICE_SEEN_AT),
        tuple(_destinations(connection)),
    )


def reports(store: Store, limit: int = 20) -> tuple[ReportRecord, ...]:
    """The latest reports, newest first.

    Raises:
        StoreError: the state file cannot be read.
    """
    query = "SELECT * FROM reports ORDER BY id DESC LIMIT ?"
    return store.database.read(lambda connection: _reports(connection, query, limit))


def report(store: Store, number: int) -> tuple[ReportRecord, tuple[Event, ...], tuple[DeadLetter, ...]] | None:
    """One report with its events, as they were sent, and its dead letters; None when there is none of that id.

    Raises:
        StoreError: the state file cannot be read.
    """

    def work(
        connection: sqlite3.Connection,
    ) -> tuple[ReportRecord, tuple[Event, ...], tuple[DeadLetter, ...]] | None:
        found = _reports(connection, "SELECT * FROM reports WHERE id = ?", number)
        if not found:
            return None
        (body,) = connection.execute("SELECT body FROM reports WHERE id = ?", (number,)).fetchone()
        dead = connection.execute(
            """
            SELECT name, first, events, reason, at FROM dead_letters JOIN destinations
            ON destinations.id = dead_letters.destination WHERE report = ? ORDER BY dead_letters.id
            """,
            (number,),
        )
        return found[0], unpacked(body), tuple(DeadLetter(*row) for row in dead)

    return store.database.read(work)


def _reports(connection: sqlite3.Connection, query: str, value: int) -> tuple[ReportRecord, ...]:
    cursor = connection.execute(query, (value,))
    columns = [column for column, *_ in cursor.description]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    return tuple(
        ReportRecord(
            row["id"],
            row["collected_at"],
            row["published_at"],
            row["client_id"],
            row["events"],
            tuple(json.loads(row["nodes"])),
            tuple(json.loads(row["notes"])),
            tuple(_outcomes(connection, row["id"])),
        )
        for row in rows
    )


def _outcomes(connection: sqlite3.Connection, number: int) -> Iterable[OutcomeRecord]:
    rows = connection.execute(
        """
        SELECT name, events, delivered, rejected, dropped, events - delivered - rejected - dropped, settled_at,
        outcomes.error FROM outcomes JOIN destinations ON destinations.id = outcomes.destination
        WHERE report = ? ORDER BY destinations.id
        """,
        (number,),
    )
    return (OutcomeRecord(*row) for row in rows)


def _destinations(connection: sqlite3.Connection) -> Iterable[DestinationRecord]:
    waiting = {
        key: rest
        for key, *rest in connection.execute(
            """
            SELECT destination, batches, counts.events, bytes, collected_at FROM (
              SELECT destination, COUNT(*) AS batches, SUM(events) AS events, SUM(size) AS bytes, MIN(report) AS oldest
              FROM queue INDEXED BY queue_counts GROUP BY destination
            ) AS counts JOIN reports ON reports.id = oldest
            """
        )
    }
    dead = {
        key: rest
        for key, *rest in connection.execute(
            "SELECT destination, COUNT(*), SUM(events) FROM dead_letters GROUP BY destination"
        )
    }
    drops: dict[int, list[Dropped]] = {}
    for key, *rest in connection.execute(
        "SELECT destination, reason, batches, events, last_at FROM drops ORDER BY destination, reason"
    ):
        drops.setdefault(key, []).append(Dropped(*rest))
    for key, identity, name, delivered_at, error, error_at, retry_at in connection.execute(
        "SELECT id, key, name, delivered_at, error, error_at, retry_at FROM destinations ORDER BY id"
    ):
        batches, events, size, oldest = waiting.get(key, (0, 0, 0, None))
        dead_batches, dead_events = dead.get(key, (0, 0))
        yield DestinationRecord(
            id=identity,
            name=name,
            batches=batches,
            events=events,
            bytes=size,
            oldest=oldest,
            delivered_at=delivered_at,
            error=error,
            error_at=error_at,
            retry_at=retry_at,
            dead_batches=dead_batches,
            dead_events=dead_events,
            drops=tuple(drops.get(key, ())),
        )


def _moment(connection: sqlite3.Connection, key: str) -> int | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row and str(row[0]).isdigit() else None
