"""The history: what was reported, and what became of it at each destination."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from bridge.report.model import Event, Note
from bridge.state.queue import age_values
from bridge.state.status import DeadLetter, Delivery, Processing, ReportStatus
from bridge.times import Time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bridge.report.model import Report
    from bridge.times import Clock

_T = TypeVar("_T", bound=msgspec.Struct)

DEAD: Final = "outcome NOT IN ('delivered', 'expired')"
"""Whether a batch was refused, or given up, and is not too old to be sent again."""


def add(connection: sqlite3.Connection, report: Report, clock: Clock) -> int:
    """Keep a report; its id."""
    cursor = connection.execute(
        """
        INSERT INTO reports (collected_at, boot, elapsed, client_id, events, nodes, notes, body)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            report.collected_at,
            clock.boot,
            clock.elapsed(),
            report.client_id,
            len(report.events),
            json.dumps(list(report.nodes)),
            msgspec.json.encode(report.notes).decode(),
            # Reports of large installations are many megabytes of much the same.
            zlib.compress(json.dumps([[event.name, dict(event.params)] for event in report.events]).encode()),
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def drop_old(connection: sqlite3.Connection, clock: Clock, seconds: float, newest: int) -> None:
    """Forget reports that are older than so many seconds and need nothing any more; the newest stays."""
    connection.execute(
        """
        DELETE FROM reports
        WHERE collected_at <= :wall AND (boot != :boot OR boot = '' OR elapsed <= :elapsed)
        AND id != :newest AND published_at IS NOT NULL
        AND id NOT IN (SELECT report FROM batches WHERE outcome IS NULL)
        """,
        {**age_values(clock, seconds), "newest": newest},
    )


def events(connection: sqlite3.Connection, which: str, *values: int) -> dict[int, tuple[Event, ...]]:
    """The events of the reports that an SQL clause with parameters selects, by the report's id."""
    rows = connection.execute(f"SELECT id, body FROM reports {which}", values)  # noqa: S608 - our own text
    return {
        number: tuple(Event(name, params) for name, params in json.loads(zlib.decompress(body)))
        for number, body in rows
    }


def read(connection: sqlite3.Connection, which: str, *values: int) -> tuple[ReportStatus, ...]:
    """The reports that an SQL clause with parameters selects."""
    columns = "id, collected_at, published_at, client_id, events, nodes, notes"
    rows = connection.execute(f"SELECT {columns} FROM reports {which}", values).fetchall()  # noqa: S608
    return tuple(
        value_of(
            ReportStatus,
            (*row, json.loads(nodes), _notes(notes), _deliveries(connection, row[0])),
        )
        for *row, nodes, notes in rows
    )


def _notes(notes: str) -> list[Note]:
    """Notes; reports of older releases have them as texts."""
    read = msgspec.json.decode(notes, type=list[Note | str])
    return [Note("note", "", note) if isinstance(note, str) else note for note in read]


def _deliveries(connection: sqlite3.Connection, number: int) -> list[Delivery]:
    rows = connection.execute(
        """
        SELECT destination, name, key, SUM(events),
        COALESCE(SUM(events) FILTER (WHERE outcome = 'delivered'), 0),
        COALESCE(SUM(events) FILTER (WHERE outcome = 'rejected'), 0),
        COALESCE(SUM(events) FILTER (WHERE outcome NOT IN ('delivered', 'rejected')), 0),
        COALESCE(SUM(events) FILTER (WHERE outcome IS NULL), 0),
        MAX(at) FILTER (WHERE outcome IS NOT NULL), (
          SELECT reason FROM batches AS failed WHERE failed.report = batches.report
          AND failed.destination = batches.destination AND reason IS NOT NULL ORDER BY at DESC LIMIT 1
        ) FROM batches JOIN destinations ON destinations.id = destination
        WHERE report = ? GROUP BY destination ORDER BY destination
        """,
        (number,),
    ).fetchall()
    return [
        value_of(Delivery, (*row, processing(connection, "report = ? AND destination = ?", number, destination)))
        for destination, *row in rows
    ]


def processing(connection: sqlite3.Connection, which: str, *values: int) -> Processing | None:
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


def dead_letters(connection: sqlite3.Connection, number: int) -> tuple[DeadLetter, ...]:
    """The batches of a report that destinations refused or that were given up."""
    query = f"""
        SELECT name, key, first, events, reason, at FROM batches JOIN destinations ON destinations.id = destination
        WHERE report = ? AND {DEAD} ORDER BY destination, first
        """  # noqa: S608 - our own text
    return tuple(value_of(DeadLetter, row) for row in connection.execute(query, (number,)))


def delivered(connection: sqlite3.Connection, number: int, destination: str) -> tuple[Event, ...]:
    """The events of a report that a destination has taken."""
    query = """
        SELECT first, batches.events FROM batches JOIN destinations ON destinations.id = destination
        WHERE report = ? AND key = ? AND outcome IS NOT 'delivered'
        """
    rows = connection.execute(query, (number, destination)).fetchall()
    others = {index for first, number_of in rows for index in range(first, first + number_of)}
    whole = events(connection, "WHERE id = ?", number).get(number, ())
    return tuple(event for index, event in enumerate(whole) if index not in others)


def value_of(kind: type[_T], row: Sequence[object]) -> _T:
    """A row as a value; the columns are the value's fields in their order."""
    named = dict(zip((field.name for field in msgspec.structs.fields(kind)), row, strict=False))
    return msgspec.convert(named, kind, dec_hook=time_of)


def time_of(_: type, number: int) -> Time:
    """Read a number where a value has a time."""
    return Time(number)
