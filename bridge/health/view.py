"""What the page shows: the status, and the last report in words, as a chart and as it is, as one JSON document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from bridge.health.words import Bar, Topic, backends, in_words
from bridge.state.status import Status  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.report.model import Event, Value
    from bridge.state.state import State

HISTORY: Final = 20
"""Past reports on the page; `mongooseim-bridge history` shows all that are kept."""
ROWS: Final = 500
"""Different events on the page; all are in /report.json."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is, and how often the report has exactly this one."""

    name: str
    params: Mapping[str, Value]
    times: int


@dataclass(frozen=True, slots=True)
class ReportView:
    """The last report for a person: in words, as a chart, and as it is."""

    id: int
    words: tuple[Topic, ...]
    backends: tuple[Bar, ...]
    events: tuple[EventRow, ...]
    more: int
    """Different events beyond `ROWS`."""


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything on the page."""

    status: Status
    not_ready: str | None
    report: ReportView | None
    """None also when the page has it already."""


class Views:
    """Makes views again and again; what is costly of a report is made once."""

    def __init__(self) -> None:
        self._view: ReportView | None = None

    def as_json(self, status: Status, state: State, known: int | None) -> bytes:
        """The view of this moment.

        Args:
            status: of this moment.
            state: where the report is.
            known: id of the report that the page shows already, so that it is not sent again.

        Raises:
            StateError: the state file cannot be read.
        """
        last = status.last_published
        report = self._viewed(last.id, state) if last and last.id != known else None
        return msgspec.json.encode(PageView(status, status.not_ready, report))

    def _viewed(self, number: int, state: State) -> ReportView | None:
        if self._view is None or self._view.id != number:
            stored = state.report(number)
            self._view = _view(number, stored[1]) if stored else None
        return self._view


def _view(number: int, events: Sequence[Event]) -> ReportView:
    times = Counter((event.name, tuple(event.params.items())) for event in events)
    rows = tuple(EventRow(name, dict(params), count) for (name, params), count in times.items())
    return ReportView(number, in_words(events), backends(events), rows[:ROWS], max(0, len(rows) - ROWS))
