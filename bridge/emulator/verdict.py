"""What the validator says of a request, and what GA4 makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(Enum):
    """How much a broken rule matters."""

    REJECT = "reject"
    """The endpoint answers 204 and drops the event, or the whole request where no event can be blamed."""
    RECOMMENDATION = "recommendation"
    """Dropped, and told by the validation server, only with ENFORCE_RECOMMENDATIONS."""
    HINT = "hint"
    """Taken and never told, but the data will not show as its sender expects."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule, in the form of a validation message."""

    level: Level
    code: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    def message(self) -> dict[str, str]:
        """One of the `validationMessages` of the validation server."""
        path = {"fieldPath": self.path} if self.path else {}
        return {**path, "description": self.text, "validationCode": self.code}


@dataclass(frozen=True, slots=True)
class JudgedEvent:
    """An event as far as it can be read, and what GA4 does with it."""

    name: str | None
    params: Mapping[str, object]
    timestamp_micros: int | None
    """The event's own, else the request's, else None: GA4 takes the time of arrival."""
    reasons: tuple[str, ...]
    """Why it is dropped; empty where it is taken."""
    warnings: tuple[str, ...]
    """What should be mended all the same."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request holds and what is wrong with it."""

    client_id: str | None
    events: tuple[JudgedEvent, ...]
    """A measurement without an event that can be read counts as one event without a name."""
    messages: tuple[dict[str, str], ...]
    """The `validationMessages` of the validation server."""

    def dropped(self, reason: str) -> Verdict:
        """The same, had every event one reason more to be dropped."""
        return replace(self, events=tuple(replace(event, reasons=(*event.reasons, reason)) for event in self.events))


NOTHING: Final = Verdict(None, (), ())
"""Of a request without events."""
