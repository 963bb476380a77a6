"""The queue: batches wait for their destination, are taken in order, and settled with what became of them.

Whoever sends to a destination holds its lock (`State.delivering`), so a batch is never in two hands. What is given up
(too old for GA4, beyond the bounds, ambiguous) is counted where the operator looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.state.receipts import FIRST_ASKED
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

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
    """What became of a batch; `error` is for the operator and set unless it was delivered whole."""

    batch: Queued
    outcome: Outcome
    error: str | None = None
    refused: Mapping[int, str] = MappingProxyType({})
    """Events of a delivered batch that were refused for good: index in the batch, and why."""
    receipt: str | None = None
    """Of a delivered batch that is processed afterwards."""
    asked: float = 0.0
    """Seconds for which the destination asks to be left alone."""

    @property
    def delivered(self) -> int:
        """How many events were."""
        return self.batch.events - len(self.refused) if self.outcome is Outcome.DELIVERED else 0


class Standing(NamedTuple):
    """How a destination has behaved."""

    failures: int = 0
    """Attempts in a row that have failed."""
    asked: float = 0.0
    """Seconds for which it has asked to be left alone from now on; every process respects that."""


class Queue:
    """The queue's side of the state file, for whoever delivers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, destination: str, limit: int) -> tuple[Queued, ...]:
        """Up to `limit` batches to send next: the least often tried first, then the oldest.

        That order lets a batch that the destination cannot digest step behind the others instead of in their way.
        Batches that are too old for GA4 are dropped first; those of a report that was never published stay.
        """

        def work(connection: sqlite3.Connection) -> tuple[Queued, ...]:
            drop_expired(connection, self._clock)
            rows = connection.execute(
                """
                SELECT batches.id, report, first, batches.events, batches.body, collected_at, boot, elapsed
                FROM batches JOIN reports ON reports.id = report
                WHERE destination = (SELECT id FROM destinations WHERE key = ?)
                AND outcome IS NULL AND published_at IS NOT NULL
                ORDER BY attempts, batches.id LIMIT ?
                """,
                (destination, limit),
            )
            return tuple(
                Queued(number, report, first, events, body, _collected_at(self._clock, *when))
                for number, report, first, events, body, *when in rows
            )

        return self._database.write(work, durable=False)

    def standing(self, destination: str) -> Standing:
        """How a destination has behaved in its last attempts."""
        query = "SELECT failures, COALESCE(not_before, 0) FROM destinations WHERE key = ?"
        row = self._database.read(lambda connection: connection.execute(query, (destination,)).fetchone())
        failures, not_before = row or (0, 0)
        asked = (not_before - self._clock.wall()) / MICROSECONDS
        # The wall clock may have jumped back since: nobody is made to wait longer than anybody could have asked.
        return Standing(failures, asked if 0 < asked <= LONGEST_RETRY_AFTER else 0.0)

    def settle(self, destination: str, settled: Sequence[Settled], *, durable: bool = True) -> None:
        """Record what became of batches.

        Args:
            destination: `Target.id`.
            settled: any part of what was taken.
            durable: False where a power failure may undo it; those batches would be sent again.
        """

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT id FROM destinations WHERE key = ?", (destination,)).fetchone()
            if row:  # else the file was replaced meanwhile
                for one in settled:
                    _settle(connection, row[0], one, self._clock.wall())

        self._database.write(work, durable=durable)

    def pause(self, destination: str, wait: float, asked: float = 0.0) -> None:
        """Record that something has to be tried again.

        Args:
            destination: `Target.id`.
            wait: seconds until the next attempt.
            asked: seconds that the destination itself asked for.
        """
        now = self._clock.wall()
        retry_at, not_before = (now + int(seconds * MICROSECONDS) for seconds in (wait, asked))
        query = """
            UPDATE destinations SET failures = failures + 1, failing_since = COALESCE(failing_since, ?),
            retry_at = ?, not_before = ? WHERE key = ?
            """
        values = (now, retry_at, not_before if asked else None, destination)
        self._database.write(lambda connection: connection.execute(query, values))


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
        SELECT destination, id, report, first, events FROM batches WHERE outcome IS NULL AND report IN (
          SELECT id FROM reports WHERE collected_at <= :wall AND (boot != :boot OR boot = '' OR elapsed <= :elapsed)
        )
        """,
        age_values(clock, AGE_SECONDS),
    )
    for row in expired.fetchall():
        _give_up(connection, row, Outcome.EXPIRED, clock)


def drop_beyond(connection: sqlite3.Connection, bounds: Bounds, clock: Clock) -> None:
    """Give up the oldest batches, whosever they are, until the queue is within its bounds."""
    queued = "FROM batches WHERE outcome IS NULL"
    batches, size = connection.execute(f"SELECT COUNT(*), COALESCE(SUM(size), 0) {queued}").fetchone()
    oldest = connection.execute(f"SELECT destination, id, report, first, events, size {queued} ORDER BY id")
    beyond = []
    while batches > bounds.batches or size > bounds.bytes:
        *row, row_size = next(oldest)
        beyond.append((row, Outcome.TOO_MANY if batches > bounds.batches else Outcome.TOO_LARGE))
        batches -= 1
        size -= row_size
    for row, outcome in beyond:
        _give_up(connection, row, outcome, clock)


def _give_up(connection: sqlite3.Connection, row: Sequence[int], outcome: Outcome, clock: Clock) -> None:
    destination, number, report, first, events = row
    batch = Queued(number, report, first, events, b"")
    _settle(connection, destination, Settled(batch, outcome, f"given up: {outcome}"), clock.wall())


def _settle(connection: sqlite3.Connection, destination: int, settled: Settled, now: int) -> None:
    """Keep of a batch what became of it, count its events, and remember how the destination has behaved."""
    batch, outcome, error, refused, receipt, _ = settled
    if outcome is Outcome.RETRY:
        query = "UPDATE batches SET attempts = attempts + 1, at = ?, reason = ? WHERE id = ?"
        connection.execute(query, (now, error, batch.id))
    elif connection.execute("DELETE FROM batches WHERE id = ?", (batch.id,)).rowcount:
        # New rows rather than a change of this one, which would leave each page of bodies with a row of nothing.
        whole = (batch.first, batch.events - len(refused), outcome, None if refused else error)
        parts = [whole, *((batch.first + index, 1, Outcome.REJECTED, why) for index, why in refused.items())]
        columns = "report, destination, first, events, outcome, reason, at"
        connection.executemany(
            f"INSERT INTO batches ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
            [(batch.report, destination, *part, now) for part in parts],
        )
        connection.executemany(
            """
            INSERT INTO counters VALUES (?, ?, ?, ?) ON CONFLICT (destination, outcome) DO UPDATE
            SET events = events + excluded.events, last_at = excluded.last_at
            """,
            [(destination, became, events, now) for _, events, became, _ in parts if events],
        )
        if receipt:
            columns = "report, destination, receipt, events, taken_at, ask_at"
            connection.execute(
                f"INSERT INTO receipts ({columns}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
                (batch.report, destination, receipt, settled.delivered, now, now + FIRST_ASKED),
            )
    else:
        return  # the file was replaced meanwhile
    if outcome is Outcome.DELIVERED:
        connection.execute(
            """
            UPDATE destinations SET failing_since = NULL, failures = 0, retry_at = NULL, not_before = NULL
            WHERE id = ? AND failing_since IS NOT NULL
            """,
            (destination,),
        )
    if error:
        connection.execute(
            """
            UPDATE destinations SET error = ?, error_at = ?, failing_since = COALESCE(failing_since, ?),
            retry_at = NULL, not_before = NULL WHERE id = ?
            """,
            (error, now, now, destination),
        )
