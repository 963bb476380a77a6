"""The queue: batches wait for their destination, are taken in order, and settled with what became of them.

Whoever sends to a destination holds its lock (`State.delivering`), so a batch is never in two hands. What is given up
(too old for GA4, beyond the bounds, ambiguous) is counted where the operator looks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bridge.state.database import Database
    from bridge.times import Clock

AGE_SECONDS: Final = 71 * 3600
"""GA4 takes events of the last 72 hours and moves older ones to the wrong time: one hour is left for the way."""
_JUMP: Final = 60 * MICROSECONDS
"""The clocks may differ by this much: collecting takes time, and a clock that is a little off is put right slowly."""
LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds that a destination may ask us to wait: not until the events are too old."""


class Outcome(StrEnum):
    """What becomes of a batch; all but RETRY are final."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    EXPIRED = "expired"
    TOO_MANY = "too many batches"
    TOO_LARGE = "too many bytes"
    AMBIGUOUS = "ambiguous time-out"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    batches: int = 100_000
    bytes: int = 200_000_000
    history_days: int = 90
    missing_days: int = 7
    """How long a node that no longer answers is shown as missing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One request's worth of events, encoded as it goes on the wire."""

    first: int
    """Index in `Report.events` of its first event."""
    events: int
    """How many events it carries, from `first` on."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a report is for, and the batches that it gets."""

    id: str
    """Names the destination over restarts and changes of its secret; holds no secret itself."""
    name: str
    batches: tuple[Batch, ...]


class Queued(NamedTuple):
    """A batch that waits in the queue."""

    id: int
    report: int
    first: int
    events: int
    body: bytes
    collected_at: int = 0
    """When its report was collected, by what the time of day is now, µs since 1970."""


class Settled(NamedTuple):
    """What became of a batch; `error` is for the operator and set unless it was delivered."""

    batch: Queued
    outcome: Outcome
    error: str | None = None


class Pause(NamedTuple):
    """How long a destination is left alone after a failure."""

    seconds: float
    asked: bool = False
    """Whether the destination asked for it, so that every process has to respect it."""


class Queue:
    """The queue's side of the state file, for whoever delivers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> int:
        """The time of day, µs since 1970."""
        return self._clock.wall()

    def take(self, destination: str, limit: int) -> tuple[Queued, ...]:
        """Up to `limit` batches to send next: the least often tried first, then the oldest.

        That order lets a batch that the destination cannot digest step behind the others instead of in their way.
        Batches that are too old for GA4 are dropped first; those of a report that was never published stay.
        """

        def work(connection: sqlite3.Connection) -> tuple[Queued, ...]:
            drop_expired(connection, self._clock)
            rows = connection.execute(
                """
                SELECT queue.id, report, first, queue.events, queue.body, collected_at, boot, elapsed
                FROM queue JOIN reports ON reports.id = report
                WHERE destination = (SELECT id FROM destinations WHERE key = ?)
                AND published_at IS NOT NULL
                ORDER BY attempts, queue.id LIMIT ?
                """,
                (destination, limit),
            )
            return tuple(
                Queued(number, report, first, events, body, _collected_at(self._clock, *when))
                for number, report, first, events, body, *when in rows
            )

        return self._database.write(work, durable=False)

    def waits(self, destination: str) -> bool:
        """Whether a destination has anything to get, of published reports."""
        query = """
            SELECT EXISTS (SELECT 1 FROM queue WHERE destination = (SELECT id FROM destinations WHERE key = ?)
            AND report NOT IN (SELECT id FROM reports WHERE published_at IS NULL))
        """
        return bool(self._database.read(lambda connection: connection.execute(query, (destination,)).fetchone()[0]))

    def not_before(self, destination: str) -> int:
        """Until when a destination asked to be left alone, µs since 1970; 0 where it did not."""
        query = "SELECT not_before FROM destinations WHERE key = ?"
        row = self._database.read(lambda connection: connection.execute(query, (destination,)).fetchone())
        until = int(row[0] or 0) if row else 0
        # The wall clock may have jumped back since: nobody is made to wait longer than anybody could have asked.
        return until if until <= self.now() + LONGEST_RETRY_AFTER * MICROSECONDS else 0

    def failures(self, destination: str) -> int:
        """How many attempts in a row have failed; 0 while deliveries succeed."""
        query = "SELECT failures FROM destinations WHERE key = ?"
        row = self._database.read(lambda connection: connection.execute(query, (destination,)).fetchone())
        return int(row[0]) if row else 0

    def settle(
        self, destination: str, settled: Sequence[Settled], *, pause: Pause | None = None, durable: bool = True
    ) -> None:
        """Record what became of batches.

        Args:
            destination: `Target.id`.
            settled: any part of what was taken.
            pause: until the next attempt, where something has to be tried again.
            durable: False where a power failure may undo it; those batches would be sent again.
        """
        now = self._clock.wall()

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT id FROM destinations WHERE key = ?", (destination,)).fetchone()
            if row is None:  # the file was replaced meanwhile
                return
            for one in settled:
                if one.outcome is Outcome.RETRY:
                    connection.execute("UPDATE queue SET attempts = attempts + 1 WHERE id = ?", (one.batch.id,))
                    connection.execute(
                        "UPDATE outcomes SET error = ? WHERE report = ? AND destination = ?",
                        (one.error, one.batch.report, row[0]),
                    )
            _finish(connection, row[0], [one for one in settled if one.outcome is not Outcome.RETRY], now)
            _mark(connection, row[0], settled, pause, now)

        self._database.write(work, durable=durable)


def _collected_at(clock: Clock, kept: int, boot: str, elapsed: int) -> int:
    """When a report was collected, µs since 1970: as it was kept, unless the time of day was set right since.

    A machine without a battery for its clock starts in 1970, and is told the time a minute later.
    """
    now = clock.wall()
    if boot and boot == clock.boot:
        counted = now - (clock.elapsed() - elapsed)
        return kept if abs(kept - counted) <= _JUMP else counted
    return min(kept, now)


def age_values(clock: Clock, seconds: float) -> dict[str, object]:
    """What the age of a report is compared with.

    A report is old when both clocks say so: by the wall clock alone everything would expire when it jumps ahead for a
    minute. Where the machine was started since, the wall clock is all there is.
    """
    limit = int(seconds * MICROSECONDS)
    return {"wall": clock.wall() - limit, "elapsed": clock.elapsed() - limit, "boot": clock.boot}


def drop_expired(connection: sqlite3.Connection, clock: Clock) -> None:
    """Give up what GA4 would put at the wrong time."""
    expired = connection.execute(
        """
        SELECT destination, id, report, first, events FROM queue WHERE report IN (
          SELECT id FROM reports WHERE collected_at <= :wall AND (boot != :boot OR boot = '' OR elapsed <= :elapsed)
        )
        """,
        age_values(clock, AGE_SECONDS),
    ).fetchall()
    _give_up(connection, [(*row, Outcome.EXPIRED) for row in expired], clock.wall())


def drop_beyond(connection: sqlite3.Connection, bounds: Bounds, clock: Clock) -> None:
    """Give up the oldest batches, whosever they are, until the queue is within its bounds."""
    batches, size = connection.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM queue").fetchone()
    if batches <= bounds.batches and size <= bounds.bytes:
        return
    beyond = []
    for *row, row_size in connection.execute(
        "SELECT destination, id, report, first, events, size FROM queue ORDER BY id"
    ):
        if batches <= bounds.batches and size <= bounds.bytes:
            break
        beyond.append((*row, Outcome.TOO_MANY if batches > bounds.batches else Outcome.TOO_LARGE))
        batches -= 1
        size -= row_size
    _give_up(connection, beyond, clock.wall())


def _give_up(connection: sqlite3.Connection, rows: Sequence[tuple[int, int, int, int, int, Outcome]], now: int) -> None:
    by_destination: dict[int, list[Settled]] = {}
    for destination, number, report, first, events, outcome in rows:
        settled = Settled(Queued(number, report, first, events, b""), outcome, f"given up: {outcome}")
        by_destination.setdefault(destination, []).append(settled)
    for destination, all_settled in by_destination.items():
        _finish(connection, destination, all_settled, now)
        _mark(connection, destination, all_settled, None, now)


def _finish(connection: sqlite3.Connection, destination: int, settled: Sequence[Settled], now: int) -> None:
    """Take batches out of the queue, and count them for their report and their destination."""
    counters: Counter[Outcome] = Counter()
    for one in settled:
        batch, outcome = one.batch, one.outcome
        if not connection.execute("DELETE FROM queue WHERE id = ?", (batch.id,)).rowcount:
            continue  # the file was replaced meanwhile
        counters[outcome] += batch.events
        column = outcome if outcome in {Outcome.DELIVERED, Outcome.REJECTED} else "dropped"
        connection.execute(
            f"""
            UPDATE outcomes SET {column} = {column} + :more, settled_at = :now,
            error = COALESCE(:error, CASE WHEN delivered + :more < events THEN error END)
            WHERE report = :report AND destination = :destination
            """,  # noqa: S608 - our own names
            {"more": batch.events, "now": now, "error": one.error, "report": batch.report, "destination": destination},
        )
        if outcome is Outcome.REJECTED:
            connection.execute(
                "INSERT INTO dead_letters (report, destination, first, events, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
                (batch.report, destination, batch.first, batch.events, one.error, now),
            )
    connection.executemany(
        """
        INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT (destination, outcome) DO UPDATE
        SET events = events + excluded.events, last_at = excluded.last_at
        """,
        [(destination, outcome, events, now) for outcome, events in counters.items()],
    )


def _mark(
    connection: sqlite3.Connection, destination: int, settled: Sequence[Settled], pause: Pause | None, now: int
) -> None:
    """Keep the destination's last failure until a delivery succeeds, for `status` and for other processes."""
    if any(one.outcome is Outcome.DELIVERED for one in settled):
        connection.execute(
            """
            UPDATE destinations SET failing_since = NULL, failures = 0, retry_at = NULL, not_before = NULL WHERE id = ?
            """,
            (destination,),
        )
    errors = [one.error for one in settled if one.error]
    if errors:
        until = now + int(pause.seconds * MICROSECONDS) if pause else None
        connection.execute(
            """
            UPDATE destinations SET error = ?, error_at = ?, failing_since = COALESCE(failing_since, ?),
            failures = failures + ?, retry_at = ?, not_before = ? WHERE id = ?
            """,
            (errors[-1], now, now, pause is not None, until, until if pause and pause.asked else None, destination),
        )
