"""Log lines as values: an event name and fields, so that text and JSON are two views of the same thing.

    log.info(Line("report_collected", nodes=2, events=57))

The text form is MongooseIM's own style (`when=… level=… what=… key=value`).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Final, final

from bridge.log_events import LOG_EVENTS
from bridge.text import printable

_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Those of syslog; sd-daemon(3)."""
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/@+,%")


@final
class Line:
    """One thing that happened: `what` in snake case, and fields whose values are shown as text."""

    __slots__ = ("fields", "what")

    def __init__(self, what: str, /, **fields: object) -> None:
        assert what in LOG_EVENTS, what
        self.what = what
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([f"what={self.what}", *(f"{name}={_quoted(value)}" for name, value in self.fields.items())])


class TextFormatter(logging.Formatter):
    """`when=2026-01-31T12:00:00.123Z level=info what=report_collected nodes=2`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line per record; a traceback of an unforeseen error follows it."""
        line = record.msg if isinstance(record.msg, Line) else Line("log", logger=record.name, text=record.getMessage())
        text = f"when={_when(record)} level={record.levelname.lower()} {line}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """The same as one JSON object per line, for collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object per record."""
        line = record.msg if isinstance(record.msg, Line) else Line("log", logger=record.name, text=record.getMessage())
        fields = {name: value if isinstance(value, int | float) else str(value) for name, value in line.fields.items()}
        whole = {"when": _when(record), "level": record.levelname.lower(), "what": line.what, **fields}
        if record.exc_info:
            whole["traceback"] = self.formatException(record.exc_info)
        return json.dumps(whole)


class JournalFormatter(logging.Formatter):
    """Lines of another formatter, each with its severity as systemd's journal reads it: `<4>when=…`."""

    def __init__(self, lines: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        """A traceback is several lines, and several entries of the journal."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(f"{prefix}{line}" for line in self._lines.format(record).splitlines())


def is_journal(stream: str | None, descriptor: int) -> bool:
    """Whether what is written to a descriptor goes to systemd's journal.

    Args:
        stream: JOURNAL_STREAM of the environment: device and inode of the journal's end, which a redirection leaves.
        descriptor: a file descriptor.
    """
    if not stream:
        return False
    status = os.fstat(descriptor)
    return stream == f"{status.st_dev}:{status.st_ino}"


def set_up_log(level: str, form: str, *, journal: bool = False) -> None:
    """Log to stderr, in the one format; other libraries are heard from WARNING on.

    httpx and httpcore log whole URLs, API secrets included, so they are never asked for more.

    Args:
        level: the least severity of our own, as "info".
        form: "text" or "json".
        journal: whether stderr is systemd's journal, which wants to know the severity of each line.
    """
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter() if form == "json" else TextFormatter()
    handler.setFormatter(JournalFormatter(formatter) if journal else formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bridge").setLevel(level.upper())


def _when(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(value: object) -> str:
    text = printable(str(value))
    return text if text and _PLAIN.issuperset(text) else json.dumps(text, ensure_ascii=False)
