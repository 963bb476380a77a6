"""Receipts: batches that a destination took and processes afterwards, and when to ask what became of their events.

The first time is half an hour after a batch was taken, then whenever it is twice as old, until it is a day old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from bridge.state.database import Database
    from bridge.times import Clock

FIRST_ASKED: Final = 1_800 * MICROSECONDS
LAST_ASKED: Final = 86_400 * MICROSECONDS


class Receipt(NamedTuple):
    """A batch whose processing is to be asked for now."""

    id: int
    text: str
    """What the destination calls the request."""
    events: int
    taken_at: int


class Processed(NamedTuple):
    """What became of the events of a batch."""

    failed: int = 0
    """How many were not processed."""
    reason: str | None = None
    """Why not."""


class Receipts:
    """The receipts' side of the state file, for whoever delivers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def due(self, destination: str) -> tuple[Receipt, ...]:
        """The receipts of a destination by which to ask now."""
        query = """
            SELECT receipts.id, receipt, events, taken_at FROM receipts JOIN destinations
            ON destinations.id = destination WHERE key = ? AND ask_at <= ? ORDER BY receipts.id
            """
        values = (destination, self._clock.wall())
        rows = self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return tuple(Receipt(*row) for row in rows)

    def answered(self, receipt: Receipt, processed: Processed) -> None:
        """Keep what became of the events."""
        query = "UPDATE receipts SET ask_at = NULL, failed = ?, reason = ? WHERE id = ?"
        self._database.write(lambda connection: connection.execute(query, (*processed, receipt.id)))

    def keep(self, report: int, destination: str, events: int, found: Processed | str) -> None:
        """Keep what somebody else knows of a report that was delivered without receipts; it is not asked for again.

        Args:
            report: its id.
            destination: `Target.id`.
            events: how many were delivered.
            found: what became of them, or why nobody could say.
        """
        failed, reason = (None, found) if isinstance(found, str) else found
        query = """
            INSERT INTO receipts (report, destination, receipt, events, taken_at, failed, reason)
            SELECT ?, id, '', ?, ?, ?, ? FROM destinations WHERE key = ?
            """
        values = (report, events, self._clock.wall(), failed, reason, destination)
        self._database.write(lambda connection: connection.execute(query, values))

    def unanswered(self, receipt: Receipt, reason: str) -> None:
        """Ask again, unless that was the last time."""
        now, last = self._clock.wall(), receipt.taken_at + LAST_ASKED
        again = min(now + max(now - receipt.taken_at, FIRST_ASKED), last) if now < last else None
        query = "UPDATE receipts SET ask_at = ?, reason = ? WHERE id = ?"
        self._database.write(lambda connection: connection.execute(query, (again, reason, receipt.id)), durable=False)
