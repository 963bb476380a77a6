"""What the page shows: the service, its last report, past reports and the deliveries, as one JSON document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from bridge import __version__
from bridge.delivery import records
from bridge.service.health.checks import not_ready
from bridge.service.health.words import Bar, Topic, backends, in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.delivery.records import DestinationRecord, ReportRecord
    from bridge.delivery.store import Store
    from bridge.report.model import Event, Value
    from bridge.service.state import ServiceState

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
class DestinationView:
    """A destination: its record, and whether this service sends to it."""

    configured: bool
    record: DestinationRecord | None
    """None until the first report for it."""
    name: str


@dataclass(frozen=True, slots=True)
class Account:
    """Everything on the page. Times are microseconds since 1970."""

    version: str
    now: int
    started_at: int
    period: float
    consent: str
    notice: bool
    not_ready: str | None
    failures: int
    next_report_at: int | None
    last_duration: float | None
    nodes_asked: int | None
    nodes_seen: int | None
    report: ReportView | None
    """None also when the page has it already."""
    history: tuple[ReportRecord, ...]
    destinations: tuple[DestinationView, ...]


class Accounts:
    """Gives account again and again; what is costly of a report is made once."""

    def __init__(self, state: ServiceState, store: Store) -> None:
        self._state = state
        self._store = store
        self._view: ReportView | None = None

    def as_json(self, known: int | None) -> bytes:
        """The account of this moment.

        Args:
            known: id of the report that the page shows already, so that it is not sent again.

        Raises:
            StoreError: the state file cannot be read.
        """
        state, store, now = self._state, self._store, self._store.clock.wall()
        history = records.reports(store, HISTORY)
        facts = state.facts
        last = published(history)
        return msgspec.json.encode(
            Account(
                version=__version__,
                now=now,
                started_at=state.started_at,
                period=state.period,
                consent=state.consent.reason,
                notice=state.consent.notice,
                not_ready=not_ready(state, now),
                failures=state.failures,
                next_report_at=state.next_report_at,
                last_duration=state.last_duration,
                nodes_asked=len(facts.nodes) if facts else None,
                nodes_seen=len(facts.nodes) + len(facts.unreachable) if facts else None,
                report=self._viewed(last.id) if last and last.id != known else None,
                history=history,
                destinations=_destinations(state, records.status(store).destinations),
            )
        )

    def _viewed(self, number: int) -> ReportView | None:
        if self._view is None or self._view.id != number:
            found = records.report(self._store, number)
            self._view = _view(number, found[1]) if found else None
        return self._view


def published(history: Sequence[ReportRecord]) -> ReportRecord | None:
    """The newest report whose JSON log is complete, out of those given newest first."""
    return next((record for record in history if record.published_at is not None), None)


def _view(number: int, events: Sequence[Event]) -> ReportView:
    times = Counter((event.name, tuple(event.params.items())) for event in events)
    rows = tuple(EventRow(name, dict(params), count) for (name, params), count in times.items())
    return ReportView(number, in_words(events), backends(events), rows[:ROWS], max(0, len(rows) - ROWS))


def _destinations(state: ServiceState, found: Sequence[DestinationRecord]) -> tuple[DestinationView, ...]:
    """Those of the configuration in its order, then those that were configured once."""
    by_id = {record.id: record for record in found}
    configured = [DestinationView(True, by_id.pop(key, None), one.name) for key, one in state.destinations.items()]
    return (*configured, *(DestinationView(False, record, record.name) for record in by_id.values()))
