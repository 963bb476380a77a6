"""`system_metrics_report.json`: the most recent report, in MongooseIM's own format and place, for anybody to read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.report.model import Event

FILE_NAME: Final = "system_metrics_report.json"


class JsonLogError(BridgeError):
    """The JSON log could not be written; the file that was there before is untouched."""


def as_json(events: Sequence[Event]) -> str:
    """The events as the JSON log has them: a list of {"name", "params"}, indented for people."""
    listed = [{"name": event.name, "params": dict(event.params)} for event in events]
    return json.dumps(listed, indent=2, allow_nan=False) + "\n"


def write(log_dir: Path, events: Sequence[Event]) -> Path:
    """Replace the JSON log of `log_dir` in one step, so that a reader sees the old report or the new, never a part.

    Returns:
        The path that was written.

    Raises:
        JsonLogError: the directory is missing, read-only or full.
    """
    path = log_dir / FILE_NAME
    temporary: Path | None = None
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=log_dir, prefix=f".{FILE_NAME}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(as_json(events))
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        message = (
            f"the report cannot be written to {path}: {error.strerror}; give a writable directory as bridge.log_dir"
        )
        raise JsonLogError(message) from error
    return path
