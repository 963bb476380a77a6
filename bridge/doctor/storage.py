"""What reports need on this machine: consent, directories that can be written, room, and a queue that is well.

Nothing is changed: a file is created without a name and removed again, and the state file is only looked at.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Final

from bridge.state.errors import StateError
from bridge.times import MICROSECONDS, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.app import Installation
    from bridge.doctor.steps import Sheet
    from bridge.state.status import DestinationStatus, Status

LEAST_ROOM: Final = 16_000_000
"""Bytes without which no report is worth trying to keep."""
OLD_SECONDS: Final = 24 * 3600
"""A report that waits for a day has two left before GA4 takes it no more."""
RECENT_SECONDS: Final = 7 * 24 * 3600
"""What was given up longer ago is no news."""


def examine_storage(installation: Installation, sheet: Sheet) -> None:
    """Look at the machine's side of reporting; it may block, on a disk that hangs for example."""
    consent, bridge = installation.consent, installation.settings.bridge
    if consent.given:
        sheet.ok("reporting", str(consent))
    else:
        advice = "nothing is sent as long as this is so; `preview` works all the same"
        sheet.warning("reporting", str(consent), advice)
    state_dir, log_dir = Path(bridge.state_dir), Path(bridge.log_dir)
    _writable(sheet, "log directory", log_dir, "bridge.log_dir")
    _writable(sheet, "state directory", state_dir, "bridge.state_dir")
    _room(sheet, (state_dir, log_dir), bridge.queue_max_bytes)
    try:
        with installation.state(look=True) as state:
            state.database.check()
            status = state.status(0)
    except StateError as error:
        sheet.failed("queue", error)
    else:
        _queue(sheet, status, bridge.queue_max_batches)


def _writable(sheet: Sheet, step: str, directory: Path, key: str) -> None:
    """Whether a file can be written there. Where there is no such directory yet, it has to be possible to make it."""
    place = _existing(directory)
    try:
        # Without a name where the system can do that, else removed at once: nothing is left, whatever happens.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"doctor")
            file.flush()
    except OSError as error:
        advice = f"set {key} to a directory that this user may write"
        sheet.failure(step, f"{place} cannot be written: {error.strerror}", advice)
    else:
        sheet.ok(step, str(directory) if place == directory else f"{directory} will be made in {place}")


def _existing(directory: Path) -> Path:
    # os.path.exists is False where Path.exists raises: below a directory that is closed to us.
    return next(path for path in (directory, *directory.absolute().parents) if os.path.exists(path))  # noqa: PTH110


def _room(sheet: Sheet, directories: tuple[Path, ...], needed: int) -> None:
    free = {path: disk_usage(_existing(path)).free for path in directories}
    path, least = min(free.items(), key=lambda entry: entry[1])
    found = f"{least // 1_000_000:,} MB free at {path}"
    advice = f"free some space, or lower bridge.queue_max_bytes ({needed // 1_000_000:,} MB)"
    if least < LEAST_ROOM:
        sheet.failure("disk space", found, advice)
    elif least < needed:
        sheet.warning("disk space", f"{found}: less than the queue may need in a long outage", advice)
    else:
        sheet.ok("disk space", found)


def _queue(sheet: Sheet, status: Status, bound: int) -> None:
    complaints = [complaint for one in status.destinations for complaint in _complaints(one, status.now)]
    waiting = sum(one.queued_batches for one in status.destinations)
    if waiting > bound // 2:
        beyond = "the oldest are given up beyond that: see why they wait"
        complaints.append((f"{waiting:,} batches wait, of at most {bound:,}", beyond))
    sheet.judged("queue", f"whole; {waiting:,} batches wait", complaints)


def _complaints(one: DestinationStatus, now: int) -> Iterator[tuple[str, str]]:
    """What should be looked at of one destination's part of the queue, and what to do."""
    waiting = f"{one.name}: {one.queued_batches:,} batches wait since {moment(one.oldest or now)}"
    if one.queued_batches and one.failing_since:
        yield f"{waiting}: {one.error}", "they go out when the cause is mended; GA4 takes them for 3 days"
    elif one.oldest and now - one.oldest > OLD_SECONDS * MICROSECONDS:
        yield waiting, "nobody delivers them: is the service running, or `report` in a timer?"
    for reason, events in one.dropped.items():
        last_at = one.last_at[reason]
        if now - last_at < RECENT_SECONDS * MICROSECONDS:
            yield (
                f"{one.name}: {events:,} events were given up ({reason}), the last at {moment(last_at)}",
                "the history has them: `mongooseim-bridge history`; mend what kept them waiting",
            )
    if (done := one.processing) and done.failed:
        advice = "`mongooseim-bridge ga4 verify` says what is missing now, and the likely causes"
        yield f"{one.name}: {done.failed:,} delivered events were not processed: {done.reason}", advice
    if one.rejected and one.failing_since:
        advice = "the history has the reason: `mongooseim-bridge history`"
        yield f"{one.name}: {one.rejected:,} events were refused for good, and none was taken since", advice
