"""What arrived: one value per event and one per request, kept in memory and, if wanted, in a file of JSON lines."""

from __future__ import annotations

import json
import logging
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bridge.emulator.verdict import JudgedEvent
from bridge.errors import BridgeError
from bridge.log import Line

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.emulator.verdict import Verdict

log = logging.getLogger(__name__)


class RecordError(BridgeError):
    """The record cannot be written where it is wanted."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request to one of the two endpoints or to one of Google's own APIs, also one that was refused on purpose."""

    received: str
    """UTC, RFC 3339."""
    method: str
    path: str
    measurement_id: str | None
    secret_given: bool
    """Whether there was an api_secret; the secret itself is never kept."""
    answer: str
    """The status of the answer, or the fault met: "204", "429:retry-after=2", "drop"."""
    events: int
    """How many events it held, accepted or not; one where it could not be read."""
    messages: int
    """How many validation messages the debug endpoint has for it."""


@dataclass(frozen=True, slots=True)
class RecordedEvent(JudgedEvent):
    """An event and what GA4 would have done with it; see RecordedRequest too."""

    number: int
    """Counted from 1 since the start."""
    received: str
    measurement_id: str | None
    secret_given: bool
    client_id: str | None
    accepted: bool

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps(asdict(self))


class Record:
    """The latest events and requests, and how many there were in all."""

    def __init__(self, path: Path | None, keep: int) -> None:
        """Prepare the record.

        Args:
            path: a file that gets a line of JSON per event, after those it has; None for no file.
            keep: how many events and requests to keep in memory.

        Raises:
            RecordError: the file cannot be written.
        """
        self.events: deque[RecordedEvent] = deque(maxlen=keep)
        self.requests: deque[RecordedRequest] = deque(maxlen=keep)
        self.accepted = self.rejected = self.answered = 0
        self._path = path
        try:
            self._write([])
        except OSError as error:
            remedy = "choose a file that this user may write"
            raise RecordError(f"cannot record to {path}: {error.strerror}", remedy) from error

    def add(self, request: RecordedRequest, verdict: Verdict, *, taken: bool) -> list[RecordedEvent]:
        """Keep a request and, where GA4 takes it, its events; these are returned."""
        self.requests.append(request)
        self.answered += 1
        if not taken:
            return []
        first = self.accepted + self.rejected + 1
        events = [
            RecordedEvent(
                **asdict(event),
                number=number,
                received=request.received,
                measurement_id=request.measurement_id,
                secret_given=request.secret_given,
                client_id=verdict.client_id,
                accepted=not event.reasons,
            )
            for number, event in enumerate(verdict.events, first)
        ]
        self.events.extend(events)
        accepted = sum(event.accepted for event in events)
        self.accepted += accepted
        self.rejected += len(events) - accepted
        try:
            self._write(events)
        except OSError as error:
            log.error(Line("record_stopped", file=self._path, error=error.strerror))  # noqa: TRY400 - one clear line
            self._path = None
        return events

    def _write(self, events: list[RecordedEvent]) -> None:
        if self._path:
            with self._path.open("a", encoding="utf-8") as file:  # whoever gets the answer can read the lines
                file.writelines(f"{event.to_json()}\n" for event in events)
