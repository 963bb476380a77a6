"""The queue: batches are claimed, sent by their claimant, and settled. Two processes never hold the same batch.

A claim belongs to an owner (one drain of one destination in one process) and is good for as long as the owner is; each
settlement renews it. When a process dies, its claims are free again after `LEASE` by the clock that does not jump.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.delivery.drops import LEASE, Drop, drop, drop_expired, forget_dead_owners
from bridge.delivery.retry import LONGEST_RETRY_AFTER, Verdict
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bridge.delivery.database import Database
    from bridge.times import Clock


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch that only its claimant may send."""

    id: int
    report: int
    first: int
    events: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a claimed batch; `error` is for the operator and set unless it was delivered."""

    batch: Claimed
    verdict: Verdict
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a destination is left alone after a failure."""

    seconds: float
    asked: bool = False
    """Whether the destination asked for it, so that other processes have to respect it too."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a destination still has to get."""

    batches: int = 0
    events: int = 0
    claimed: int = 0
    """How many of the batches another process is sending right now."""
    error: str | None = None
    """The last failure, while it lasts."""
    not_before: int = 0
    """Until when the destination asked for patience, µs since 1970."""


class Queue:
    """The queue's side of the state file, for whoever delivers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> int:
        """The time of day, µs since 1970."""
        return self._clock.wall()

    def claim(self, destination: str, owner: str, limit: int) -> tuple[Claimed, ...]:
        """Take up to `limit` batches that nobody holds: the least often tried first, then the oldest.

        That order lets a batch that the destination cannot digest step behind the others instead of in their way.
        Batches that are too old for GA4 are dropped first; those of a report that was never published stay.
        """
        elapsed = self._clock.elapsed()

        def work(connection: sqlite3.Connection) -> tuple[Claimed, ...]:
            forget_dead_owners(connection, self._clock)
            drop_expired(connection, self._clock)
            connection.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, elapsed + LEASE))
            rows = connection.execute(
                """
                SELECT id, report, first, events, body FROM free
                WHERE destination = (SELECT id FROM destinations WHERE key = ?)
                AND report NOT IN (SELECT id FROM reports WHERE published_at IS NULL)
                ORDER BY attempts, id LIMIT ?
                """,
                (destination, limit),
            ).fetchall()
            connection.executemany("UPDATE queue SET claimed_by = ? WHERE id = ?", [(owner, row[0]) for row in rows])
            return tuple(Claimed(*row) for row in rows)

        return self._database.write(work)

    def settle(
        self,
        destination: str,
        owner: str,
        settled: Sequence[Settled],
        *,
        pause: Pause | None = None,
        durable: bool = True,
    ) -> None:
        """Record what became of batches that `owner` holds, and renew its claim on the rest.

        Args:
            destination: `Destination.id`.
            owner: as given to `claim`.
            settled: any part of what was claimed.
            pause: until the next attempt, where something has to be tried again.
            durable: False where a power failure may undo it; those batches would be sent again.
        """
        now, elapsed = self._clock.wall(), self._clock.elapsed()

        def work(connection: sqlite3.Connection) -> None:
            key = _destination(connection, destination)
            _settle(connection, key, owner, settled, now)
            _mark(connection, key, settled, pause, now)
            connection.execute("UPDATE owners SET until = ? WHERE owner = ?", (elapsed + LEASE, owner))

        self._database.write(work, durable=durable)

    def release(self, owner: str) -> None:
        """Let go of every batch that `owner` still holds."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE queue SET claimed_by = NULL WHERE claimed_by = ?", (owner,))
            connection.execute("DELETE FROM owners WHERE owner = ?", (owner,))

        self._database.write(work, durable=False)

    def waiting(self, destination: str) -> Waiting:
        """What a destination still has to get, published reports only."""
        elapsed, now = self._clock.elapsed(), self._clock.wall()

        def work(connection: sqlite3.Connection) -> Waiting:
            found = connection.execute(
                "SELECT id, error, retry_at, not_before FROM destinations WHERE key = ?", (destination,)
            ).fetchone()
            if found is None:
                return Waiting()
            key, error, retry_at, not_before = found
            batches, events = connection.execute(
                """
                SELECT COUNT(*), COALESCE(SUM(events), 0) FROM queue INDEXED BY queue_counts
                WHERE destination = ? AND report NOT IN (SELECT id FROM reports WHERE published_at IS NULL)
                """,
                (key,),
            ).fetchone()
            (claimed,) = connection.execute(
                """
                SELECT COUNT(*) FROM queue WHERE claimed_by IN (SELECT owner FROM owners WHERE until > ? AND until <= ?)
                AND destination = ?
                """,
                (elapsed, elapsed + LEASE, key),
            ).fetchone()
            # The wall clock may have jumped back since: nobody is made to wait longer than anybody could have asked.
            patience = not_before if not_before and not_before <= now + LONGEST_RETRY_AFTER * MICROSECONDS else 0
            return Waiting(batches, events, claimed, error if retry_at else None, patience)

        return self._database.read(work)


def _destination(connection: sqlite3.Connection, key: str) -> int:
    row = connection.execute("SELECT id FROM destinations WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else -1


def _settle(connection: sqlite3.Connection, destination: int, owner: str, settled: Sequence[Settled], now: int) -> None:
    delivered: Counter[int] = Counter()
    lost = []
    for one in settled:
        batch = one.batch
        if one.verdict is Verdict.RETRY:
            _try_again(connection, destination, owner, one)
        elif one.verdict is Verdict.DROPPED:
            lost.append((batch.id, batch.report, destination, batch.events))
        # A row that is gone was settled by another process, while this one slept through its lease.
        elif connection.execute("DELETE FROM queue WHERE id = ?", (batch.id,)).rowcount:
            if one.verdict is Verdict.DELIVERED:
                delivered[batch.report] += batch.events
            else:
                _bury(connection, destination, one, now)
    connection.executemany(
        """
        UPDATE outcomes SET delivered = delivered + :more, settled_at = :now,
        error = CASE WHEN delivered + :more < events THEN error END
        WHERE report = :report AND destination = :destination
        """,
        [
            {"more": events, "now": now, "report": report, "destination": destination}
            for report, events in delivered.items()
        ],
    )
    if lost:
        drop(connection, lost, Drop.AMBIGUOUS, now)


def _try_again(connection: sqlite3.Connection, destination: int, owner: str, one: Settled) -> None:
    connection.execute(
        "UPDATE queue SET attempts = attempts + 1, claimed_by = NULL WHERE id = ? AND claimed_by = ?",
        (one.batch.id, owner),
    )
    connection.execute(
        "UPDATE outcomes SET error = ? WHERE report = ? AND destination = ?", (one.error, one.batch.report, destination)
    )


def _bury(connection: sqlite3.Connection, destination: int, one: Settled, now: int) -> None:
    batch = one.batch
    connection.execute(
        "INSERT INTO dead_letters (report, destination, first, events, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
        (batch.report, destination, batch.first, batch.events, one.error, now),
    )
    connection.execute(
        "UPDATE outcomes SET rejected = rejected + ?, settled_at = ?, error = ? WHERE report = ? AND destination = ?",
        (batch.events, now, one.error, batch.report, destination),
    )


def _mark(
    connection: sqlite3.Connection, destination: int, settled: Sequence[Settled], pause: Pause | None, now: int
) -> None:
    """Keep the destination's last success and failure, for `status` and for other processes."""
    if any(one.verdict is Verdict.DELIVERED for one in settled):
        connection.execute(
            "UPDATE destinations SET delivered_at = ?, retry_at = NULL, not_before = NULL WHERE id = ?",
            (now, destination),
        )
    errors = [one.error for one in settled if one.error]
    if errors:
        until = now + int(pause.seconds * MICROSECONDS) if pause else None
        connection.execute(
            "UPDATE destinations SET error = ?, error_at = ?, retry_at = ?, not_before = ? WHERE id = ?",
            (errors[-1], now, until, until if pause and pause.asked else None, destination),
        )
