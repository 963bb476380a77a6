"""What reports need on this machine: consent, directories that can be written, room, and a queue that is well.

Nothing is changed: a file is created without a name and gone again, and the queue is opened for reading only, since
any other command would set a damaged one aside.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Final

from bridge.delivery import schema
from bridge.delivery.database import FILE_NAME
from bridge.delivery.records import Status, read_status
from bridge.service.consent import consent
from bridge.service.doctor.steps import Chain, Finding, Findings, Section, Step, failure, ok, warning
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.config.model import Settings
    from bridge.delivery.records import DestinationRecord

LEAST_ROOM: Final = 16_000_000
"""Bytes without which no report is worth trying to keep."""
OLD_SECONDS: Final = 24 * 3600
"""A report that waits for a day has two left before GA4 takes it no more."""
RECENT_SECONDS: Final = 7 * 24 * 3600
"""What was given up longer ago is no news."""
CHECK_SECONDS: Final = 5.0


@dataclass
class Storage:
    """The machine's side of reporting."""

    settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    now: Callable[[], int]
    """µs since 1970."""

    @property
    def log_dir(self) -> Path:
        """Where the JSON log goes."""
        return Path(self.settings.bridge.log_dir)

    @property
    def state_dir(self) -> Path:
        """Where the queue is."""
        return Path(self.settings.bridge.state_dir)


def reporting(storage: Storage) -> Findings:
    """The operator's word on it."""
    found = consent(storage.settings.service, storage.environ)
    if found.given:
        return ok(f"on: {found.reason}")
    return warning(f"off: {found.reason}", "nothing is sent as long as this is so; `preview` works all the same")


def log_dir(storage: Storage) -> Findings:
    """Room for a file in it."""
    return _writable(storage.log_dir, "bridge.log_dir")


def state_dir(storage: Storage) -> Findings:
    """The same for the queue."""
    return _writable(storage.state_dir, "bridge.state_dir")


def _writable(directory: Path, key: str) -> Finding:
    """Whether a file can be written there. Where there is no such directory yet, it has to be possible to make it."""
    place = _existing(directory)
    try:
        # Without a name where the system can do that, else removed at once: nothing is left, whatever happens.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"doctor")
            file.flush()
    except OSError as error:
        return failure(
            f"{place} cannot be written: {error.strerror}", f"set {key} to a directory that this user may write"
        )
    return ok(str(directory) if place == directory else f"{directory} will be made in {place}")


def _existing(directory: Path) -> Path:
    # os.path.exists is False where Path.exists raises: below a directory that is closed to us.
    return next(path for path in (directory, *directory.absolute().parents) if os.path.exists(path))  # noqa: PTH110


def disk_space(storage: Storage) -> Findings:
    """Room for the queue at its largest."""
    needed = storage.settings.bridge.queue_max_bytes
    free = {path: disk_usage(_existing(path)).free for path in (storage.state_dir, storage.log_dir)}
    path, least = min(free.items(), key=lambda entry: entry[1])
    found = f"{least // 1_000_000:,} MB free at {path}"
    advice = f"free some space, or lower bridge.queue_max_bytes ({needed // 1_000_000:,} MB)"
    if least < LEAST_ROOM:
        return failure(found, advice)
    if least < needed:
        return warning(f"{found}: less than the queue may need in a long outage", advice)
    return ok(found)


def queue(storage: Storage) -> Findings:
    """A file that is whole, and what waits in it or was given up."""
    path = storage.state_dir / FILE_NAME
    if not path.exists():
        return ok("empty: no report was ever made here")
    try:
        status = _look(path)
    except sqlite3.Error as error:
        return failure(
            f"{path}: {error}",
            "a damaged file is set aside by the next report, which begins a new one: what waits in it is lost, so put "
            "a backup in its place before, if there is one; then check the disk",
        )
    if isinstance(status, Finding):
        return status
    now = storage.now()
    complaints = [finding for record in status.destinations for finding in _complaints(record, now)]
    waiting = sum(record.batches for record in status.destinations)
    bound = storage.settings.bridge.queue_max_batches
    if waiting > bound // 2:
        complaints.append(
            warning(f"{waiting:,} batches wait, of at most {bound:,}", "the oldest are given up beyond that: see why")
        )
    return complaints or ok(f"whole; {waiting:,} batches wait")


def _look(path: Path) -> Status | Finding:
    """Check the file and read its state, without a lock of ours and without mending anything.

    Raises:
        sqlite3.Error: it is damaged, or cannot be read.
    """
    # Without a write-ahead log nobody has the file open, and SQLite can be kept from making files beside it.
    alone = not path.with_name(f"{FILE_NAME}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    with closing(sqlite3.connect(uri, uri=True, timeout=1)) as connection:
        give_up = time.monotonic() + CHECK_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > give_up, 10_000)
        application, version = (
            connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in ("application_id", "user_version")
        )
        if application != schema.APPLICATION_ID:
            return failure(
                f"{path} is a database of another program",
                "the next report would set it aside; is bridge.state_dir the right directory?",
            )
        if version > schema.VERSION:
            return failure(
                f"{path} is of format {version}, this release knows {schema.VERSION}",
                "run the newer release, or name another bridge.state_dir",
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict).partition("\n")[0])
        return read_status(connection)


def _complaints(record: DestinationRecord, now: int) -> Iterator[Finding]:
    """What should be looked at of one destination's part of the queue."""
    if record.batches and record.retry_at:
        yield warning(
            f"{record.name}: {record.batches:,} batches wait since {_when(record.oldest)}: {record.error}",
            "they go out when the cause is gone, see the destination's steps; GA4 takes them for 3 days",
        )
    elif record.oldest and now - record.oldest > OLD_SECONDS * MICROSECONDS:
        yield warning(
            f"{record.name}: {record.batches:,} batches wait since {_when(record.oldest)}",
            "nobody delivers them: is the service running, or `report` in a timer?",
        )
    recent = [drop for drop in record.drops if now - drop.last_at < RECENT_SECONDS * MICROSECONDS]
    for drop in recent:
        yield warning(
            f"{record.name}: {drop.events:,} events were given up ({drop.reason}), the last on {_when(drop.last_at)}",
            "the history has them: `mongooseim-bridge history`; mend what kept them waiting",
        )
    if record.dead_events:
        yield warning(
            f"{record.name}: {record.dead_events:,} events were refused for good",
            "the history has the reason: `mongooseim-bridge history`",
        )


def _when(moment: int | None) -> str:
    return f"{datetime.fromtimestamp((moment or 0) / MICROSECONDS, UTC):%Y-%m-%d %H:%M} UTC"


STORAGE: Final = Chain(
    Section.DELIVERY,
    (
        Step("reporting", "the operator has not switched it off", reporting, vital=False),
        Step("log directory", "system_metrics_report.json can be written", log_dir, vital=False),
        Step("state directory", "the queue can be written", state_dir, vital=False),
        Step("disk space", "there is room for the queue at its largest", disk_space, vital=False),
        Step("queue", "its file is whole, nothing waits for long, nothing was given up lately", queue, 7.0),
    ),
)
