"""`system_metrics_report.json`: the most recent report, in MongooseIM's own format and place, for anybody to read."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.report.model import Event

FILE_NAME: Final = "system_metrics_report.json"


class JsonLogError(BridgeError):
    """The JSON log could not be written; the file that was there before is untouched."""

    exit_code = ExitCode.STATE


def as_json(events: Sequence[Event]) -> str:
    """The events as the JSON log has them: a list of {"name", "params"}, indented for people."""
    listed = [{"name": event.name, "params": dict(event.params)} for event in events]
    return json.dumps(listed, indent=2, allow_nan=False) + "\n"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A JSON log that lies complete on the disk beside its place: all that can fail has been done."""

    temporary: Path
    path: Path

    def publish(self) -> Path:
        """Put it in its place in one step: a reader sees the old report or the new one, never a part.

        Raises:
            JsonLogError: the directory is gone or has become read-only.
        """
        try:
            self.temporary.replace(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self.path

    def discard(self) -> None:
        """Take it back; the log that was there before is untouched."""
        self.temporary.unlink(missing_ok=True)


def prepare(log_dir: Path, events: Sequence[Event]) -> Prepared:
    """Write the events to a temporary file in `log_dir`, for `publish` once the report is in the queue.

    Raises:
        JsonLogError: the directory is missing, read-only or full; nothing is left behind.
    """
    path = log_dir / FILE_NAME
    text = as_json(events)
    temporary: Path | None = None
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=log_dir, prefix=f".{FILE_NAME}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    return Prepared(temporary, path)


def _unwritable(path: Path, error: OSError) -> JsonLogError:
    return JsonLogError(
        f"the report cannot be written to {path}: {error.strerror}",
        "set bridge.log_dir to a directory with room that this user may write",
    )
