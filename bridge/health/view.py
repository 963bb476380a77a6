"""What the page shows: the status, its charts, and the last report in words and as it is, as one JSON document."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from bridge import charts
from bridge.health.words import Figures, Topic, backends, figures, in_words
from bridge.mongooseim.collect import not_running
from bridge.mongooseim.facts import STANZA_TYPES
from bridge.state.status import Status  # noqa: TC001 - msgspec reads the annotations
from bridge.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.report.model import Event, Value
    from bridge.state.state import State
    from bridge.state.status import Delivery, DestinationStatus, ReportStatus

HISTORY: Final = 32
"""Past reports on the page, four days of them at the usual period; `mongooseim-bridge history` shows all."""
ROWS: Final = 500
"""Different events on the page; all are in /report.json."""
_STRIP: Final = f"The last {HISTORY} reports"
_KINDS: Final = ("processed", "delivered", "waiting", "given up", "refused")
"""What becomes of reports, the worst last."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is, and how often the report has exactly this one."""

    name: str
    params: Mapping[str, Value]
    times: int


@dataclass(frozen=True, slots=True)
class ReportView:
    """The last report for a person, and how it developed; charts are HTML."""

    id: int
    words: tuple[Topic, ...]
    backends: str
    trends: str
    events: tuple[EventRow, ...]
    more: int
    """Different events beyond `ROWS`."""


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything on the page."""

    status: Status
    not_ready: str | None
    not_running: tuple[str, ...]
    """Missing nodes that answer, and on which MongooseIM does not run."""
    strips: Mapping[str, str]
    """What became of the reports, a chart for each destination."""
    legend: str
    report: ReportView | None
    """None also when the page has it already."""
    preview_seconds: float | None
    """How long a preview may take; None where there is none."""


class Views:
    """Makes views again and again; what is costly of a report is made once."""

    def __init__(self) -> None:
        self._view: ReportView | None = None
        self._figures: dict[int, Figures] = {}

    async def as_json(self, status: Status, state: State, known: int | None, preview_seconds: float | None) -> bytes:
        """The view of this moment.

        Args:
            status: of this moment.
            state: where the reports are.
            known: id of the report that the page shows already, so that it is not sent again.
            preview_seconds: how long a preview may take; None where there is none.

        Raises:
            StateError: the state file cannot be read.
        """
        last = status.last_published
        report = await self._viewed(last.id, status.reports, state) if last and last.id != known else None
        away = tuple(node.name for node in status.nodes if node.reason == str(not_running(node.name)))
        strips = {one.id: charts.strip(_STRIP, _cells(one, status.reports)) for one in status.destinations}
        legend = charts.legend(_KINDS)
        view = PageView(status, status.not_ready, away, strips, legend, report, preview_seconds)
        return msgspec.json.encode(view, enc_hook=int)

    async def _viewed(self, number: int, reports: Sequence[ReportStatus], state: State) -> ReportView | None:
        if self._view is None or self._view.id != number:
            known: dict[int, Figures] = {}
            for report in reports:
                known[report.id] = self._figures.get(report.id) or _figures(report.id, state)
                await asyncio.sleep(0)  # a large report takes a while
            self._figures = known
            stored = state.report(number)
            self._view = _view(number, stored[1], _trends(reports, known)) if stored else None
        return self._view


def _figures(number: int, state: State) -> Figures:
    stored = state.report(number)
    return figures(stored[1] if stored else ())


def _view(number: int, events: Sequence[Event], trends: str) -> ReportView:
    times = Counter((event.name, tuple(event.params.items())) for event in events)
    rows = tuple(EventRow(name, dict(params), count) for (name, params), count in times.items())
    drawn = charts.bars("On how many host types a module uses which backend", backends(events), "module")
    return ReportView(number, in_words(events), drawn, trends, rows[:ROWS], max(0, len(rows) - ROWS))


def _trends(reports: Sequence[ReportStatus], known: Mapping[int, Figures]) -> str:
    """Stanzas by type, and the sizes of reports, and a table with all of it."""
    oldest_first = reports[::-1]
    sizes = {
        "Nodes": [len(report.nodes) for report in oldest_first],
        "Modules": [known[report.id].modules for report in oldest_first],
        "Events": [report.events for report in oldest_first],
    }
    stanzas = {one: [known[report.id].stanzas.get(one) for report in oldest_first] for one in STANZA_TYPES}
    panels: dict[str, dict[str, Sequence[int | None]]] = {
        title: {"sent": stanzas[f"xmpp{kind}Sent"], "received": stanzas[f"xmpp{kind}Received"]}
        for title, kind in (("Messages", "Message"), ("IQs", "Iq"), ("Presences", "Presence"))
    }
    panels |= {title: {"": values} for title, values in sizes.items()}
    headers = ("Report", "Collected", *sizes, *stanzas)
    numbers, times = [str(report.id) for report in oldest_first], [moment(one.collected_at) for one in oldest_first]
    rows = list(zip(numbers, times, *sizes.values(), *stanzas.values(), strict=True))
    return charts.trends([*map(_when, oldest_first)], panels) + charts.table("As a table", headers, rows[::-1])


def _cells(destination: DestinationStatus, reports: Sequence[ReportStatus]) -> Iterator[charts.Mark]:
    """What became of each report at a destination, oldest first; of several things the worst is drawn."""
    for report in reversed(reports):
        when = _when(report)
        one = next((one for one in report.deliveries if one.id == destination.id), None)
        if one is None:
            yield charts.Mark(when, "not for this destination", charts.cell("nothing"))
            continue
        kind, told = _outcome(one)
        yield charts.Mark(when, told, charts.cell(kind))


def _outcome(one: Delivery) -> tuple[str, str]:
    """What became of a report at a destination: of several things the worst, and all of them in words."""
    done, counts = (
        one.processing,
        dict(zip(_KINDS[1:], (one.delivered, one.queued, one.dropped, one.rejected), strict=True)),
    )
    kind = next((kind for kind in reversed(_KINDS) if counts.get(kind)), "delivered")
    if done and done.failed:
        kind = "refused"
    elif done and kind == "delivered" and not done.unknown:
        kind = "processed"
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return kind, f"{told}; {done}" if done else told


def _when(report: ReportStatus) -> str:
    return f"report {report.id}, {moment(report.collected_at)}"
