"""`system_metrics_report.json`: the most recent report, in MongooseIM's own format and place, for anybody to read."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from bridge.errors import BridgeError, ExitCode
from bridge.files import open_own

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.report.model import Event

FILE_NAME: Final = "system_metrics_report.json"
_TEMPORARY: Final = f".{FILE_NAME}."

_REMEDIES: Final = {
    errno.ENOSPC: "make room there, or set bridge.log_dir to a directory with room",
    errno.EDQUOT: "make room there, or set bridge.log_dir to a directory with room",
    errno.EBUSY: "mount the directory instead of the file: each report replaces the file as a whole",
    errno.EISDIR: "remove the directory of that name",
}
_NOT_WRITABLE: Final = "set bridge.log_dir to a directory that this user may write"


class JsonLogError(BridgeError):
    """The JSON log could not be written; the file that was there before is untouched."""

    exit_code = ExitCode.STATE


def as_json(events: Sequence[Event]) -> str:
    """The events as the JSON log has them: a list of {"name", "params"}, indented for people."""
    listed = [{"name": event.name, "params": dict(event.params)} for event in events]
    return json.dumps(listed, indent=2, allow_nan=False) + "\n"


class Prepared(Struct, frozen=True):
    """A JSON log that lies complete on the disk beside its place: all that can fail has been done."""

    temporary: Path
    path: Path

    def publish(self) -> Path:
        """Put it in its place in one step: a reader sees the old report or the new one, never a part.

        Raises:
            JsonLogError: the directory is gone, or something that is no file is in its place; nothing is left behind.
        """
        try:
            self.temporary.replace(self.path)
        except OSError as error:
            self.discard()
            raise _unwritable(self.path, error) from error
        return self.path

    def discard(self) -> None:
        """Take it back; the log that was there before is untouched."""
        with suppress(OSError):
            self.temporary.unlink()


def prepare(log_dir: Path, events: Sequence[Event]) -> Prepared:
    """Write the events to a temporary file in `log_dir`, for `publish` once the report is in the queue.

    What a process that was killed left there is removed.

    Raises:
        JsonLogError: the directory is missing, read-only or full; nothing is left behind.
    """
    text = as_json(events)
    # The name is a new one each time, so that nothing that lies there already can be written to.
    prepared = Prepared(log_dir / f"{_TEMPORARY}{os.urandom(8).hex()}", log_dir / FILE_NAME)
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        for left in log_dir.glob(f"{_TEMPORARY}*"):
            Prepared(left, prepared.path).discard()
        descriptor = open_own(prepared.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
    except OSError as error:
        prepared.discard()
        raise _unwritable(prepared.path, error) from error
    return prepared


def _unwritable(path: Path, error: OSError) -> JsonLogError:
    remedy = _REMEDIES.get(error.errno or 0, _NOT_WRITABLE)
    return JsonLogError(f"the report cannot be written to {path}: {error.strerror}", remedy)
