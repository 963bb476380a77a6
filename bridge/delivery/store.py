"""The state directory: reports and what became of them, stanza totals, the Client ID, the queue. One SQLite file.

The order of a report: `async with store.reporting()` around all of it; collect; `add` (everything durable, nothing to
be sent yet); the JSON log is published; `published` (from here on it may be sent). After a crash in between,
`unpublished` has the reports whose JSON log may be missing.
"""

from __future__ import annotations

import json
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import randbelow
from typing import TYPE_CHECKING, Final, Self

from bridge.delivery.drops import Bounds, age_values, drop_beyond, drop_expired, forget_dead_owners
from bridge.delivery.lock import holding
from bridge.delivery.queue import Queue
from bridge.mongooseim.facts import Incarnation
from bridge.report.model import Event
from bridge.times import system_clock

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from bridge.delivery.database import Database
    from bridge.delivery.destination import Destination
    from bridge.mongooseim.facts import StanzaTotals
    from bridge.report.model import Report
    from bridge.times import Clock

NEXT_REPORT_AT: Final = "next_report_at"
"""Key of `Store.put` for when the service means to report next, µs since 1970; `status` shows it."""
SERVICE_SEEN_AT: Final = "service_seen_at"
"""Key of `Store.put` for when the service was last alive, µs since 1970."""

_ID_RANGE: Final = 10**10
_DAY: Final = 86_400
_PAGES_GIVEN_BACK: Final = 2_000
"""Free pages (4 KiB) per report that the file shrinks by, after an outage that made it large."""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A report that is safe in the queue, and whose JSON log may be missing."""

    id: int
    events: tuple[Event, ...]


class Store:
    """The state directory of one installation; any number of processes may have it open."""

    def __init__(self, database: Database, clock: Clock, bounds: Bounds) -> None:
        self.database = database
        self.clock = clock
        self.queue = Queue(database, clock)
        self._bounds = bounds

    @classmethod
    def open(
        cls, state_dir: Path, *, bounds: Bounds | None = None, clock: Clock | None = None, create: bool = True
    ) -> Self:
        """Open the state directory, and create it when it is missing.

        Args:
            state_dir: created with mode 0700; the file in it has 0600.
            bounds: how much is kept.
            clock: the machine's own by default.
            create: False for commands that only look.

        Raises:
            NoStore: nothing is there, and `create` is False.
            StoreError: it cannot be used.
        """
        from bridge.delivery.database import Database  # noqa: PLC0415 - SQLite costs start-up time

        clock = clock or system_clock()
        store = cls(Database(state_dir, clock, create=create), clock, bounds or Bounds())
        store.database.read(lambda _: None)
        return store

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @asynccontextmanager
    async def reporting(self, wait: float = 60.0) -> AsyncIterator[None]:
        """Keep every other process from making a report: totals that are read stay true until they are replaced.

        Args:
            wait: seconds that another report is waited for.

        Raises:
            StoreBusy: another process is still at it.
        """
        async with holding(self.database.path.with_name("reporting.lock"), wait):
            yield

    def client_id(self) -> str:
        """The random Client ID of this installation, made when it is first asked for; `<number>.<number>`."""

        def work(connection: sqlite3.Connection) -> str:
            fresh = f"{1 + randbelow(_ID_RANGE)}.{1 + randbelow(_ID_RANGE)}"
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('client_id', ?)", (fresh,))
            (kept,) = connection.execute("SELECT value FROM meta WHERE key = 'client_id'").fetchone()
            return str(kept)

        return self.get("client_id") or self.database.write(work)

    def stanza_totals(self) -> StanzaTotals:
        """The stanza counters of the last report, by incarnation; read inside `reporting`."""

        def work(connection: sqlite3.Connection) -> list[tuple[str, int, str, int]]:
            return connection.execute("SELECT node, creation, stanza_type, total FROM totals").fetchall()

        totals: dict[Incarnation, dict[str, int]] = {}
        for node, creation, stanza_type, total in self.database.read(work):
            totals.setdefault(Incarnation(node, creation), {})[stanza_type] = total
        return totals

    def add(self, report: Report, destinations: Sequence[Destination] = ()) -> int:
        """Keep a report: history, totals and a queue row per batch and destination, all of it or nothing.

        Nothing of it is sent before `published`. What is too old or too much by now is dropped and counted.

        Returns:
            The report's id.

        Raises:
            LimitError: a destination would not take it whole; nothing is kept.
            StoreError: it cannot be kept.
        """
        cut = [(destination, destination.batches(report)) for destination in destinations]

        def work(connection: sqlite3.Connection) -> int:
            number = self._insert(connection, report)
            _replace_totals(connection, report.totals)
            for destination, batches in cut:
                key = _destination_row(connection, destination)
                connection.execute(
                    "INSERT INTO outcomes (report, destination, events) VALUES (?, ?, ?)",
                    (number, key, len(report.events)),
                )
                connection.executemany(
                    "INSERT INTO queue (report, destination, first, events, size, body) VALUES (?, ?, ?, ?, ?, ?)",
                    [(number, key, batch.first, batch.events, len(batch.body), batch.body) for batch in batches],
                )
            forget_dead_owners(connection, self.clock)
            drop_expired(connection, self.clock)
            drop_beyond(connection, self._bounds, self.clock)
            self._prune(connection, number)
            if {incarnation.node for incarnation in report.totals}.difference(report.nodes):
                _forget_gone_nodes(connection)
            return number

        number = self.database.write(work)
        self.database.shrink(_PAGES_GIVEN_BACK)
        return number

    def published(self, number: int) -> None:
        """The JSON log has the report: from now on it may be sent."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE reports SET published_at = ? WHERE id = ? AND published_at IS NULL", (self.clock.wall(), number)
            )

        self.database.write(work)

    def unpublished(self) -> tuple[Unpublished, ...]:
        """Reports that a crash left between `add` and `published`, oldest first; read inside `reporting`."""

        def work(connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
            return connection.execute("SELECT id, body FROM reports WHERE published_at IS NULL ORDER BY id").fetchall()

        return tuple(Unpublished(number, unpacked(body)) for number, body in self.database.read(work))

    def put(self, key: str, value: str | None) -> None:
        """Keep a small fact for `status`, e.g. when the next report is due; None forgets it."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            if value is not None:
                connection.execute("INSERT INTO meta VALUES (?, ?)", (key, value))

        self.database.write(work, durable=False)

    def get(self, key: str) -> str | None:
        """A fact that was `put`."""
        row = self.database.read(
            lambda connection: connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        )
        return None if row is None else str(row[0])

    def _insert(self, connection: sqlite3.Connection, report: Report) -> int:
        cursor = connection.execute(
            """
            INSERT INTO reports (collected_at, boot, elapsed, client_id, events, nodes, notes, body)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (
                report.collected_at,
                self.clock.boot,
                self.clock.elapsed(),
                report.client_id,
                len(report.events),
                json.dumps(report.nodes),
                json.dumps(report.notes),
                packed(report.events),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _prune(self, connection: sqlite3.Connection, newest: int) -> None:
        """Forget reports that are old enough and need nothing any more."""
        connection.execute(
            """
            DELETE FROM reports
            WHERE collected_at <= :wall AND (boot != :boot OR boot = '' OR elapsed <= :elapsed)
            AND id != :newest AND published_at IS NOT NULL AND id NOT IN (SELECT report FROM queue)
            """,
            {**age_values(self.clock, self._bounds.history_days * _DAY), "newest": newest},
        )


def packed(events: Sequence[Event]) -> bytes:
    """Events as the history keeps them: reports of large installations are many megabytes of much the same."""
    return zlib.compress(json.dumps([[event.name, dict(event.params)] for event in events]).encode())


def unpacked(body: bytes) -> tuple[Event, ...]:
    """The events again."""
    return tuple(Event(name, params) for name, params in json.loads(zlib.decompress(body)))


def _replace_totals(connection: sqlite3.Connection, totals: Mapping[Incarnation, Mapping[str, int]]) -> None:
    connection.execute("DELETE FROM totals")
    connection.executemany(
        "INSERT INTO totals VALUES (?, ?, ?, ?)",
        [
            (incarnation.node, incarnation.creation, stanza_type, total)
            for incarnation, counters in totals.items()
            for stanza_type, total in counters.items()
        ],
    )


def _forget_gone_nodes(connection: sqlite3.Connection) -> None:
    """Forget the counters of nodes that no report in the history has seen: they were renamed or are no more.

    What is only out of reach for a while keeps them for as long as the history reaches back (`history_days`).
    """
    connection.execute("DELETE FROM totals WHERE node NOT IN (SELECT value FROM reports, json_each(reports.nodes))")


def _destination_row(connection: sqlite3.Connection, destination: Destination) -> int:
    connection.execute(
        "INSERT INTO destinations (key, name) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET name = excluded.name",
        (destination.id, destination.name),
    )
    (key,) = connection.execute("SELECT id FROM destinations WHERE key = ?", (destination.id,)).fetchone()
    return int(key)
