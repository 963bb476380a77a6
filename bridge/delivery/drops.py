"""What the queue gives up, and why: batches too old for GA4, and the oldest beyond the bounds. Every one is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bridge.delivery.limits import AGE_SECONDS
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bridge.times import Clock

LEASE: Final = 60 * MICROSECONDS
"""How long claims outlive a process that died: several times the longest exchange, after which a lease is renewed."""


class Drop(StrEnum):
    """Why a batch was given up."""

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


def age_values(clock: Clock, seconds: float) -> dict[str, object]:
    """What the age of a report is compared with.

    A report is old when both clocks say so: by the wall clock alone everything would expire when it jumps ahead for a
    minute. Where the machine was started since, the wall clock is all there is.
    """
    limit = int(seconds * MICROSECONDS)
    return {"wall": clock.wall() - limit, "elapsed": clock.elapsed() - limit, "boot": clock.boot}


def forget_dead_owners(connection: sqlite3.Connection, clock: Clock) -> None:
    """Free what is held by nobody alive. A lease that ends later than any can is from before the machine started."""
    elapsed = clock.elapsed()
    connection.execute("DELETE FROM owners WHERE until <= ? OR until > ?", (elapsed, elapsed + LEASE))


def drop_expired(connection: sqlite3.Connection, clock: Clock) -> None:
    """Give up what GA4 would put at the wrong time."""
    expired = connection.execute(
        """
        SELECT id, report, destination, events FROM free WHERE report IN (
          SELECT id FROM reports WHERE collected_at <= :wall AND (boot != :boot OR boot = '' OR elapsed <= :elapsed)
        )
        """,
        age_values(clock, AGE_SECONDS),
    ).fetchall()
    drop(connection, expired, Drop.EXPIRED, clock.wall())


def drop_beyond(connection: sqlite3.Connection, bounds: Bounds, clock: Clock) -> None:
    """Give up the oldest batches, whosever they are, until the queue is within its bounds."""
    batches, size = connection.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM queue").fetchone()
    if batches <= bounds.batches and size <= bounds.bytes:
        return
    gone: dict[Drop, list[tuple[int, int, int, int]]] = {Drop.TOO_MANY: [], Drop.TOO_LARGE: []}
    oldest = connection.execute("SELECT id, report, destination, events, size FROM free ORDER BY id")
    for *row, row_size in oldest:
        if batches <= bounds.batches and size <= bounds.bytes:
            break
        gone[Drop.TOO_MANY if batches > bounds.batches else Drop.TOO_LARGE].append(tuple(row))
        batches -= 1
        size -= row_size
    for reason, rows in gone.items():
        drop(connection, rows, reason, clock.wall())


def drop(connection: sqlite3.Connection, rows: Sequence[tuple[int, int, int, int]], reason: Drop, now: int) -> None:
    """Remove batches (id, report, destination, events) from the queue and count them where the operator looks."""
    batches: Counter[int] = Counter()
    events: Counter[int] = Counter()
    of_reports: Counter[tuple[int, int]] = Counter()
    for _, report, destination, count in rows:
        batches[destination] += 1
        events[destination] += count
        of_reports[report, destination] += count
    connection.executemany("DELETE FROM queue WHERE id = ?", [row[:1] for row in rows])
    connection.executemany(
        """
        INSERT INTO drops VALUES (?, ?, ?, ?, ?) ON CONFLICT (destination, reason) DO UPDATE
        SET batches = batches + excluded.batches, events = events + excluded.events, last_at = excluded.last_at
        """,
        [(destination, reason, batches[destination], events[destination], now) for destination in batches],
    )
    connection.executemany(
        """
        UPDATE outcomes SET dropped = dropped + ?, settled_at = ?, error = COALESCE(error, ?)
        WHERE report = ? AND destination = ?
        """,
        [(count, now, f"dropped: {reason}", *pair) for pair, count in of_reports.items()],
    )
