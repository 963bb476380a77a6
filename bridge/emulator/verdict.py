"""What the validator says of a request, and what GA4 makes of it.

A rule is of one of three levels:

- REJECT: the endpoint answers 204 and drops the event, or the whole request where no event can be blamed.
- RECOMMENDATION: dropped, and told by the validation server, only with ENFORCE_RECOMMENDATIONS.
- HINT: taken and never told, but the data will not show as its sender expects.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(Enum):
    """How much a broken rule matters; see the head of this file."""

    REJECT = "reject"
    RECOMMENDATION = "recommendation"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule, in the form of a validation message."""

    level: Level
    code: str
    path: str
    text: str
    event: int | None = None
    """Index of the event it concerns; None where it concerns the whole request."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as it stands in a request, as far as it can be read."""

    name: str | None
    params: Mapping[str, object]
    timestamp_micros: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request holds and what is wrong with it."""

    client_id: str | None
    events: tuple[Seen, ...]
    findings: tuple[Finding, ...]
    enforced: bool
    """Whether the request asked for ENFORCE_RECOMMENDATIONS."""

    def messages(self) -> list[dict[str, str]]:
        """The `validationMessages` of the validation server."""
        return [
            {**({"fieldPath": each.path} if each.path else {}), "description": each.text, "validationCode": each.code}
            for each in self.findings
            if self._fatal(each)
        ]

    def reasons(self, index: int | None = None) -> list[str]:
        """Why the event, or without an index the whole request, is dropped; empty where it is taken."""
        return [str(each) for each in self.findings if self._fatal(each) and each.event in (None, index)]

    def warnings(self, index: int) -> list[str]:
        """What should be mended in an event although it is taken."""
        return [str(each) for each in self.findings if not self._fatal(each) and each.event in (None, index)]

    def _fatal(self, finding: Finding) -> bool:
        return finding.level is Level.REJECT or (self.enforced and finding.level is Level.RECOMMENDATION)
