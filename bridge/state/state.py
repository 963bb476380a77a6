"""The state directory of one installation; any number of processes may have it open. One SQLite file and some locks.

The order of a report: `async with state.reporting()` around all of it; collect; `add` (everything durable, nothing to
be sent yet); the JSON log is published; `published` (from here on it may be sent). After a crash in between,
`unpublished` has the reports whose JSON log may be missing.
"""

from __future__ import annotations

import zlib
from contextlib import asynccontextmanager
from secrets import randbelow
from typing import TYPE_CHECKING, Final, Self

import msgspec

from bridge.report.events import CONTRACT
from bridge.state import destinations, history, meta, nodes
from bridge.state.database import Database
from bridge.state.lock import holding
from bridge.state.queue import Bounds, Queue, drop_beyond, drop_expired
from bridge.state.receipts import Receipts
from bridge.state.status import NodeStatus, ServiceStatus, Status
from bridge.state.totals import read_totals, replace_totals
from bridge.times import Time, system_clock

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from bridge.mongooseim.facts import StanzaTotals
    from bridge.report.model import Event, Report
    from bridge.state.queue import Target
    from bridge.state.status import DeadLetter, ReportStatus
    from bridge.times import Clock

    PastReport = tuple[ReportStatus, tuple[Event, ...], tuple[DeadLetter, ...]]

_ID_RANGE: Final = 10**10
_DAY: Final = 86_400
_REPORTING_SECONDS: Final = 60.0
"""How long another process's report is waited for."""
_PAGES_GIVEN_BACK: Final = 2_000
"""Free pages (4 KiB) per report that the file shrinks by, after an outage that made it large."""
_FIRST_CONTRACT: Final = 1
"""Releases that knew of no contracts could report what is in the first one."""


class State:
    """The state directory, open."""

    def __init__(self, state_dir: Path, database: Database, clock: Clock, bounds: Bounds) -> None:
        self.database = database
        self.clock = clock
        self.queue = Queue(database, clock)
        self.receipts = Receipts(database, clock)
        self._directory = state_dir
        self._bounds = bounds

    @classmethod
    def open(
        cls, state_dir: Path, *, bounds: Bounds | None = None, clock: Clock | None = None, look: bool = False
    ) -> Self:
        """Open the state directory, and create it when it is missing.

        Args:
            state_dir: created with mode 0700; the file in it has 0600.
            bounds: how much is kept.
            clock: the machine's own by default.
            look: for commands that only look: nothing is created, changed or mended, and what is not there is empty.

        Raises:
            StateError: it cannot be used.
        """
        clock = clock or system_clock()
        database = Database(state_dir, clock, look=look)
        database.open()
        return cls(state_dir, database, clock, bounds or Bounds())

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # locks

    @asynccontextmanager
    async def reporting(self, wait: float = _REPORTING_SECONDS) -> AsyncIterator[None]:
        """Keep every other process from making a report: totals that are read stay true until they are replaced.

        Args:
            wait: seconds that another report is waited for.

        Raises:
            StateBusy: another process is still at it.
        """
        async with holding(self._directory / "reporting.lock", wait):
            self.database.open()
            yield

    @asynccontextmanager
    async def delivering(self, destination: str) -> AsyncIterator[None]:
        """Keep every other process from sending to a destination, for as long as the block runs."""
        # Two destinations of the same number would only wait for each other.
        async with holding(self._directory / f"deliver-{zlib.crc32(destination.encode()):08x}.lock"):
            self.database.open()
            yield

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Keep other services away from the state directory: two would make every report twice.

        Raises:
            StateBusy: there is one already.
        """
        remedy = "stop that service, or give this one a bridge.state_dir and a bridge.name of its own"
        async with holding(self._directory / "service.lock", 0.0, remedy):
            yield

    # reports

    def client_id(self) -> str:
        """The random Client ID of this installation, made when it is first asked for; `<number>.<number>`."""

        def work(connection: sqlite3.Connection) -> str:
            if known := meta.read(connection, meta.CLIENT_ID):  # another process was faster
                return known
            fresh = f"{1 + randbelow(_ID_RANGE)}.{1 + randbelow(_ID_RANGE)}"
            meta.write(connection, meta.CLIENT_ID, fresh)
            return fresh

        return self.kept_client_id() or self.database.write(work)

    def kept_client_id(self) -> str | None:
        """The random Client ID, where one was made."""
        return self.database.read(lambda connection: meta.read(connection, meta.CLIENT_ID))

    def agreed(self) -> int:
        """The contract that the operator agreed to; who has never made a report agrees to the present one."""

        def work(connection: sqlite3.Connection) -> int:
            if known := meta.read(connection, meta.CONTRACT):
                return int(known)
            (reported,) = connection.execute("SELECT EXISTS (SELECT 1 FROM reports)").fetchone()
            return _FIRST_CONTRACT if reported else CONTRACT

        return self.database.read(work)

    def agree(self, contract: int) -> None:
        """Remember to which contract the operator agrees."""
        self.database.write(lambda connection: meta.write(connection, meta.CONTRACT, contract))

    def stanza_totals(self) -> StanzaTotals:
        """The stanza counters of the last report, by incarnation; read inside `reporting`."""
        return self.database.read(read_totals)

    def add(self, report: Report, targets: Sequence[Target] = ()) -> int:
        """Keep a report: history, totals and a queue row per batch and target, all of it or nothing.

        Nothing of it is sent before `published`. What is too old or too much by now is dropped and counted.

        Returns:
            The report's id.

        Raises:
            StateError: it cannot be kept.
        """

        def work(connection: sqlite3.Connection) -> int:
            number = history.add(connection, report, self.clock)
            for target in targets:
                _queue(connection, number, destinations.key_of(connection, target), target)
            nodes.mark(connection, report, self._bounds.missing_days)
            drop_expired(connection, self.clock)
            drop_beyond(connection, self._bounds, self.clock)
            history.drop_old(connection, self.clock, self._bounds.history_days * _DAY, newest=number)
            replace_totals(connection, report.totals, report.nodes)
            return number

        number = self.database.write(work)
        self.database.shrink(_PAGES_GIVEN_BACK)
        return number

    def published(self, number: int) -> bool:
        """The JSON log has the report: from now on it may be sent.

        Returns:
            Whether it is there; a file that was set aside meanwhile took it along, and it has to be added again.
        """
        query, values = "UPDATE reports SET published_at = ? WHERE id = ?", (self.clock.wall(), number)
        return bool(self.database.write(lambda connection: connection.execute(query, values).rowcount))

    def unpublished(self) -> Mapping[int, tuple[Event, ...]]:
        """Events of the reports that a crash left between `add` and `published`, by id, oldest first.

        They are safe in the queue, and their JSON log may be missing; read inside `reporting`.
        """
        which = "WHERE published_at IS NULL ORDER BY id"
        return self.database.read(lambda connection: history.events(connection, which))

    # what there is to show

    def status(self, reports: int = 20, configured: Mapping[str, str] | None = None) -> Status:
        """The present state, read at one moment.

        Args:
            reports: how many of the latest reports.
            configured: the destinations of the configuration, id and name; None where it is not known.

        Raises:
            StateError: the state file cannot be read.
        """

        def work(connection: sqlite3.Connection) -> Status:
            service = meta.read(connection, meta.SERVICE)
            known = connection.execute("SELECT * FROM nodes ORDER BY name")
            return Status(
                Time(self.clock.wall()),
                msgspec.json.decode(service, type=ServiceStatus, dec_hook=history.time_of) if service else None,
                history.read(connection, "ORDER BY id DESC LIMIT ?", reports),
                tuple(history.value_of(NodeStatus, node) for node in known),
                destinations.read(connection, configured),
            )

        return self.database.read(work)

    def report(self, number: int) -> PastReport | None:
        """One report with its events, as they were sent, and its dead letters; None when there is none of that id.

        Raises:
            StateError: the state file cannot be read.
        """

        def work(connection: sqlite3.Connection) -> PastReport | None:
            found = history.read(connection, "WHERE id = ?", number)
            if not found:
                return None
            events = history.events(connection, "WHERE id = ?", number)[number]
            return found[0], events, history.dead_letters(connection, number)

        return self.database.read(work)

    def delivered(self, number: int, destination: str) -> tuple[Event, ...]:
        """The events of a report that a destination has taken.

        Raises:
            StateError: the state file cannot be read.
        """
        return self.database.read(lambda connection: history.delivered(connection, number, destination))

    def reports(self, limit: int, since: int, until: int) -> tuple[ReportStatus, ...]:
        """The latest reports that were collected from one moment on and before another one, newest first.

        Raises:
            StateError: the state file cannot be read.
        """
        which = "WHERE collected_at >= ? AND collected_at < ? ORDER BY id DESC LIMIT ?"
        return self.database.read(lambda connection: history.read(connection, which, since, until, limit))

    def resend(self, number: int, targets: Sequence[Target]) -> None:
        """Queue again, of a report, what its dead letters name: for each target its batches of just these events.

        Raises:
            StateError: the state file cannot be written.
        """

        def work(connection: sqlite3.Connection) -> None:
            for target in targets:
                key = destinations.key_of(connection, target)
                query = f"DELETE FROM batches WHERE report = ? AND destination = ? AND {history.DEAD}"  # noqa: S608
                if connection.execute(query, (number, key)).rowcount:  # else somebody was faster
                    _queue(connection, number, key, target)

        self.database.write(work)

    def keep_service(self, service: ServiceStatus | None) -> None:
        """Keep what the running service says of itself; None when it ends."""
        kept = None if service is None else msgspec.json.encode(service, enc_hook=int).decode()
        self.database.write(lambda connection: meta.write(connection, meta.SERVICE, kept), durable=False)

    def forget_node(self, name: str) -> bool:
        """Show a missing node no longer; whether there was a missing one of that name."""
        return self.database.write(lambda connection: nodes.forget(connection, name))


def _queue(connection: sqlite3.Connection, number: int, destination: int, target: Target) -> None:
    connection.executemany(
        "INSERT INTO batches (report, destination, first, events, size, body) VALUES (?, ?, ?, ?, ?, ?)",
        [(number, destination, batch.first, batch.events, len(batch.body), batch.body) for batch in target.batches],
    )
