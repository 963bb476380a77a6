"""What arrived: one value per event and one per request, kept in memory and, if wanted, in a file of JSON lines."""

from __future__ import annotations

import json
import logging
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from bridge.errors import BridgeError
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)


class RecordError(BridgeError):
    """The record cannot be written where it was told to."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and what GA4 would have done with it. A request that cannot be read is one event without a name."""

    number: int
    """Counted from 1 since the start."""
    received: str
    """UTC, ISO 8601."""
    measurement_id: str | None
    secret_given: bool
    """Whether there was an api_secret; the secret itself is never kept."""
    client_id: str | None
    name: str | None
    params: Mapping[str, object]
    timestamp_micros: int | None
    """The event's own, else the request's, else None: GA4 would take the time of arrival."""
    accepted: bool
    reasons: tuple[str, ...] = ()
    """Why it is not accepted."""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request to one of the two endpoints, also one that was refused on purpose."""

    received: str
    path: str
    measurement_id: str | None
    secret_given: bool
    headers: Mapping[str, str] = field(repr=False)
    size: int
    """Bytes of the body."""
    events: int
    """How many events it held, accepted or not."""
    answer: str
    """The status of the answer, or the fault met: "204", "429:retry-after=2", "drop"."""
    messages: int = 0
    """How many validation messages the debug endpoint gave."""


class Record:
    """The latest events and requests, and how many there were in all."""

    def __init__(self, path: Path | None, keep: int) -> None:
        """Open the record.

        Args:
            path: a file that gets a line of JSON per event, after those it has; None for no file.
            keep: how many events and requests to keep in memory.

        Raises:
            RecordError: the file cannot be opened.
        """
        self.events: deque[RecordedEvent] = deque(maxlen=keep)
        self.requests: deque[RecordedRequest] = deque(maxlen=keep)
        self.accepted = 0
        self.rejected = 0
        self.answered = 0
        self._path = path
        self._file: TextIO | None = None
        if path:
            try:
                self._file = path.open("a", encoding="utf-8")
            except OSError as error:
                raise RecordError(
                    f"cannot record to {path}: {error.strerror}; choose a file that this user may write"
                ) from error

    def add(self, request: RecordedRequest, events: list[RecordedEvent]) -> None:
        """Keep a request and the events that were taken or dropped with it."""
        self.requests.append(request)
        self.answered += 1
        self.events.extend(events)
        accepted = sum(event.accepted for event in events)
        self.accepted += accepted
        self.rejected += len(events) - accepted
        self._write(events)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, events: list[RecordedEvent]) -> None:
        if not self._file or not events:
            return
        try:
            self._file.writelines(f"{event.to_json()}\n" for event in events)
            self._file.flush()  # whoever gets the answer can read the line
        except OSError as error:
            log.error(Line("record_stopped", file=self._path, error=error.strerror))  # noqa: TRY400 - one clear line
            with suppress(OSError):  # what could not be written cannot be written now
                self._file.close()
            self._file = None


def moment(seconds: float) -> str:
    """A time as the record has it.

    Args:
        seconds: since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
