"""What became of everything, as one value read from the state file at one moment; whoever shows something shows this.

Times are microseconds since 1970, None where there was no such moment; counts are events unless they say otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import msgspec

from bridge.document import Document
from bridge.report.model import Note
from bridge.state.queue import Outcome
from bridge.times import MICROSECONDS, Time, moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

SERVICE: Final = "service"
"""Key in the table `meta` under which the running service keeps its `ServiceStatus`."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What became of delivered events, where their destination says so: delivered is not processed."""

    processed: int
    failed: int
    unknown: int
    """Events of which it has not said it yet."""
    reason: str | None
    """Why events failed, or why nothing is known; the latest."""

    def __str__(self) -> str:
        counts = {"processed": self.processed, "not processed": self.failed, "not known yet": self.unknown}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"{told} ({self.reason})" if self.reason else told


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a report at a destination; what is in no other number is `queued`."""

    destination: str
    id: str
    events: int
    delivered: int
    rejected: int
    dropped: int
    queued: int
    settled_at: Time | None
    error: str | None
    processing: Processing | None = None
    """None where the destination says nothing of it."""


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """A past report without its events."""

    id: int
    collected_at: Time
    published_at: Time | None
    client_id: str
    events: int
    nodes: tuple[str, ...]
    notes: tuple[Note, ...]
    """What the operator should know about it."""
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A batch that a destination refused, or that was given up and not for its age: which events, and why."""

    destination: str
    id: str
    """The destination's."""
    first: int
    events: int
    reason: str
    at: Time


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """One destination, configured now or once."""

    id: str
    name: str
    failing_since: Time | None = None
    """Set from the first failure until a delivery succeeds; refused and given-up events are failures, too."""
    failures: int = 0
    """Attempts in a row that have to be made again."""
    error: str | None = None
    """The last failure, also when it is over."""
    error_at: Time | None = None
    retry_at: Time | None = None
    queued_batches: int = 0
    queued_events: int = 0
    queued_bytes: int = 0
    oldest: Time | None = None
    """Collection time of the oldest report that waits."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """Events by what became of them, over all time; the keys are those of `Outcome` but RETRY."""
    last_at: Mapping[str, Time] = field(default_factory=dict)
    """When that happened last, by the same keys."""
    processing: Processing | None = None
    """Of the reports in the history; None where the destination says nothing of it."""
    configured: bool = True
    """Whether the configuration has it now."""

    @property
    def delivered(self) -> int:
        """Events that were taken."""
        return self.counters.get(Outcome.DELIVERED, 0)

    @property
    def delivered_at(self) -> Time | None:
        """When events were last taken."""
        return self.last_at.get(Outcome.DELIVERED)

    @property
    def rejected(self) -> int:
        """Events that were refused for good."""
        return self.counters.get(Outcome.REJECTED, 0)

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events that were given up, by the reason."""
        kept = {Outcome.DELIVERED, Outcome.REJECTED}
        return {reason: events for reason, events in self.counters.items() if reason not in kept}


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node that is or was a member of the cluster."""

    name: str
    version: str | None
    seen_at: Time | None
    """When it last answered."""
    missing_since: Time | None
    """Since when it has not, at reports that were made; None for one that answered the last report."""
    reason: str | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What the running service says of itself; kept in the state file, so that every process can show it."""

    version: str
    started_at: Time
    seen_at: Time
    """When it last came round."""
    period: float
    """Seconds between reports."""
    consent: str
    """Why it reports."""
    notice: bool = False
    """Whether the operator has not said anything, and the notice was given."""
    next_report_at: Time | None = None
    reports: int = 0
    """Reports made since the start."""
    failures: int = 0
    """Attempts in a row that collected nothing; 0 while all is well."""
    error: str | None = None
    """Why the last attempt collected nothing."""
    last_duration: float | None = None
    """Seconds that collecting the last report took."""
    reload_error: str | None = None
    """Why the last new configuration was refused; None where it was taken."""


class Status(Document, frozen=True):
    """All that there is to show."""

    now: Time
    service: ServiceStatus | None = None
    """None where no service runs."""
    reports: tuple[ReportStatus, ...] = ()
    """The latest, newest first."""
    nodes: tuple[NodeStatus, ...] = ()
    destinations: tuple[DestinationStatus, ...] = ()

    @property
    def last_report(self) -> ReportStatus | None:
        """The newest report, published or not."""
        return self.reports[0] if self.reports else None

    @property
    def last_published(self) -> ReportStatus | None:
        """The newest report whose JSON log is complete."""
        return next((report for report in self.reports if report.published_at is not None), None)

    @property
    def not_ready(self) -> str | None:
        """Why the service is not doing its job: no report since it started, or none for more than two periods.

        Within two periods a report was made on time and the next may still be in its retries.
        """
        service, last = self.service, self.last_report
        if service is None:
            return "no service is running"
        attempts = "1 attempt" if service.failures == 1 else f"{service.failures} attempts in a row"
        failed = f"; {attempts} collected nothing: {service.error}" if service.failures else ""
        if last is None or not service.reports:
            due = f"; the next attempt is at {moment(service.next_report_at)}" if service.next_report_at else ""
            return f"no report since the start at {moment(service.started_at)}{failed}{due}"
        if service.failures and self.now > last.collected_at + 2 * service.period * MICROSECONDS:
            return f"the last report is of {moment(last.collected_at)}{failed}"
        return None


class StatusDocument(Status, frozen=True, kw_only=True):
    """The status, and what the configuration and the operator have to do with it."""

    reporting: bool
    """Whether reports are made."""
    reason: str
    """Why, or why not."""
    agreed: int
    """The contract that the operator agreed to."""


def read_status(connection: sqlite3.Connection, now: int, reports: int, configured: Mapping[str, str] | None) -> Status:
    """The present state, with so many of the latest reports.

    Args:
        connection: in a transaction.
        now: µs since 1970.
        reports: how many.
        configured: the destinations of the configuration, id and name; None where it is not known.
    """
    return Status(
        Time(now),
        _service(connection),
        read_reports(connection, "ORDER BY id DESC LIMIT ?", reports),
        tuple(
            NodeStatus(name, version, _time(seen_at), _time(missing_since), reason)
            for name, version, seen_at, missing_since, reason in connection.execute("SELECT * FROM nodes ORDER BY name")
        ),
        _in_order(_destinations(connection), configured),
    )


def read_reports(connection: sqlite3.Connection, which: str, *values: int) -> tuple[ReportStatus, ...]:
    """The reports that an SQL clause with parameters selects."""
    rows = connection.execute(
        f"SELECT id, collected_at, published_at, client_id, events, nodes, notes FROM reports {which}",  # noqa: S608
        values,
    ).fetchall()
    return tuple(
        ReportStatus(
            number,
            Time(at),
            _time(published),
            client_id,
            events,
            tuple(json.loads(nodes)),
            _notes(notes),
            _deliveries(connection, number),
        )
        for number, at, published, client_id, events, nodes, notes in rows
    )


def _time(stored: int | None) -> Time | None:
    return None if stored is None else Time(stored)


def _notes(notes: str) -> tuple[Note, ...]:
    """Notes; reports of older releases have them as texts."""
    read = msgspec.json.decode(notes, type=list[Note | str])
    return tuple(Note("note", "", note) if isinstance(note, str) else note for note in read)


def _deliveries(connection: sqlite3.Connection, number: int) -> tuple[Delivery, ...]:
    rows = connection.execute(
        """
        SELECT destinations.id, name, key, events, delivered, rejected, dropped, settled_at, outcomes.error
        FROM outcomes JOIN destinations ON destinations.id = outcomes.destination
        WHERE report = ? ORDER BY destinations.id
        """,
        (number,),
    )
    return tuple(
        Delivery(
            name,
            key,
            events,
            delivered,
            rejected,
            dropped,
            queued=events - delivered - rejected - dropped,
            settled_at=_time(settled_at),
            error=error,
            processing=_processing(connection, "report = ? AND destination = ?", number, destination),
        )
        for destination, name, key, events, delivered, rejected, dropped, settled_at, error in rows.fetchall()
    )


def _processing(connection: sqlite3.Connection, which: str, *values: int) -> Processing | None:
    """What is known of the receipts that an SQL condition selects."""
    rows = connection.execute(
        f"SELECT events, failed, reason FROM receipts WHERE {which} ORDER BY id",  # noqa: S608 - our own text
        values,
    ).fetchall()
    if not rows:
        return None
    return Processing(
        processed=sum(events - failed for events, failed, _ in rows if failed is not None),
        failed=sum(failed for _, failed, _ in rows if failed is not None),
        unknown=sum(events for events, failed, _ in rows if failed is None),
        reason=next((reason for *_, reason in reversed(rows) if reason), None),
    )


def read_dead_letters(connection: sqlite3.Connection, number: int) -> tuple[DeadLetter, ...]:
    """The batches of a report that destinations refused or that were given up."""
    rows = connection.execute(
        """
        SELECT name, key, first, events, reason, at FROM dead_letters JOIN destinations
        ON destinations.id = dead_letters.destination WHERE report = ? ORDER BY dead_letters.id
        """,
        (number,),
    )
    return tuple(
        DeadLetter(name, key, first, events, reason, Time(at)) for name, key, first, events, reason, at in rows
    )


def _service(connection: sqlite3.Connection) -> ServiceStatus | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (SERVICE,)).fetchone()
    return msgspec.json.decode(row[0], type=ServiceStatus, dec_hook=lambda _, stored: Time(stored)) if row else None


def _in_order(
    known: Iterable[DestinationStatus], configured: Mapping[str, str] | None
) -> tuple[DestinationStatus, ...]:
    """Those of the configuration in its order, then those that were configured once."""
    if configured is None:
        return tuple(known)
    by_id = {destination.id: destination for destination in known}
    present = [by_id.pop(key, DestinationStatus(key, name)) for key, name in configured.items()]
    return (*present, *(replace(destination, configured=False) for destination in by_id.values()))


def _destinations(connection: sqlite3.Connection) -> Iterator[DestinationStatus]:
    rows = connection.execute(
        """
        SELECT destinations.id, key, name, failures, error,
        COALESCE(batches, 0), COALESCE(waiting.events, 0), COALESCE(bytes, 0),
        failing_since, error_at, retry_at, collected_at,
        (SELECT json_group_object(outcome, events) FROM counters WHERE destination = destinations.id),
        (SELECT json_group_object(outcome, last_at) FROM counters WHERE destination = destinations.id)
        FROM destinations LEFT JOIN (
          SELECT destination, COUNT(*) AS batches, SUM(events) AS events, SUM(size) AS bytes, MIN(report) AS oldest
          FROM queue INDEXED BY queue_counts GROUP BY destination
        ) AS waiting ON waiting.destination = destinations.id LEFT JOIN reports ON reports.id = oldest
        ORDER BY destinations.id
        """
    )
    for number, key, name, failures, error, batches, events, size, *times, counters, last_at in rows.fetchall():
        failing_since, error_at, retry_at, oldest = map(_time, times)
        yield DestinationStatus(
            id=key,
            name=name,
            failing_since=failing_since,
            failures=failures,
            error=error,
            error_at=error_at,
            retry_at=retry_at,
            queued_batches=batches,
            queued_events=events,
            queued_bytes=size,
            oldest=oldest,
            counters=json.loads(counters),
            last_at={outcome: Time(at) for outcome, at in json.loads(last_at).items()},
            processing=_processing(connection, "destination = ?", number),
        )
