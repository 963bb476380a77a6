"""What the page shows: the status, its charts, and the last report in words, as one JSON document."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from bridge import charts
from bridge.health.words import Figures, Topic, backends, figures, in_words
from bridge.mongooseim.collect import not_running
from bridge.mongooseim.facts import STANZA_TYPES
from bridge.state.status import Status  # noqa: TC001 - msgspec reads the annotations
from bridge.times import moment, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.report.model import Event, Note
    from bridge.state.state import State
    from bridge.state.status import Delivery, DestinationStatus, ReportStatus

HISTORY: Final = 32
"""Past reports on the page, four days of them at the usual period; `mongooseim-bridge history` shows all."""
_STRIP: Final = f"The last {HISTORY} reports"
_KINDS: Final = ("processed", "delivered", "waiting", "given up", "refused")
"""What becomes of reports, the worst last."""
_MEANINGS: Final = (
    "Waiting: will be sent. Refused: by the destination, for good. Given up: by the bridge, as it was too old or too "
    "much. `mongooseim-bridge history` shows all reports that are kept."
)


@dataclass(frozen=True, slots=True)
class ReportView:
    """The last report for a person, and how it developed; charts are HTML."""

    id: int
    words: tuple[Topic, ...]
    backends: str
    trends: str


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything on the page."""

    status: Status
    not_ready: str | None
    problems: tuple[str, ...]
    """What somebody has to see to; the page begins with it."""
    warnings: tuple[str, ...]
    """What else is to be known of the last report."""
    not_running: tuple[str, ...]
    """Missing nodes that answer, and on which MongooseIM does not run."""
    strips: Mapping[str, str]
    """What became of the reports, a chart for each destination."""
    legend: str
    outcomes: str
    """The same as a table."""
    processing: Mapping[str, str]
    """What destinations say of what was delivered, where they do."""
    report: ReportView | None
    """None also when the page has it already."""
    preview_seconds: float | None
    """How long a preview may take; None where there is none."""


class Views:
    """Makes views again and again; what is costly of a report is made once."""

    def __init__(self) -> None:
        self._view: ReportView | None = None

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
        view = PageView(
            status,
            status.not_ready,
            problems=tuple(_problems(status)),
            warnings=tuple(map(str, _notes(status))),
            not_running=tuple(node.name for node in status.nodes if node.reason == str(not_running(node.name))),
            strips={one.id: charts.strip(_STRIP, _cells(one, status.reports)) for one in status.destinations},
            legend=charts.legend(_KINDS),
            outcomes=_outcomes(status),
            processing={one.id: str(one.processing) for one in status.destinations if one.processing},
            report=await self._viewed(last.id, status.reports, state) if last and last.id != known else None,
            preview_seconds=preview_seconds,
        )
        return msgspec.json.encode(view, enc_hook=rfc3339)

    async def _viewed(self, number: int, reports: Sequence[ReportStatus], state: State) -> ReportView | None:
        if self._view is None or self._view.id != number:
            known: dict[int, Figures] = {}
            for report in reports:
                known[report.id] = figures(_events(report.id, state))
                await asyncio.sleep(0)  # a large report takes a while
            events = _events(number, state)
            drawn = charts.bars("On how many host types a module uses which backend", backends(events), "module")
            self._view = ReportView(number, in_words(events), drawn, _trends(reports, known))
        return self._view


def _problems(status: Status) -> Iterator[str]:
    service = status.service
    if status.not_ready is not None and (service is None or service.failures):
        yield status.not_ready
    for one in status.destinations:
        if one.configured and one.failing_since is not None:
            yield f"{one.name} is failing since {moment(one.failing_since)}: {one.error}"
    for one in status.destinations:
        if one.configured and (lost := _lost(one, status.reports)):
            yield f"{one.name} did not process all of {lost}"
    for node in status.nodes:
        if node.missing_since is not None:
            yield f"{node.name} is missing since {moment(node.missing_since)}: {node.reason}"


def _lost(destination: DestinationStatus, reports: Sequence[ReportStatus]) -> str | None:
    """The newest report of which a destination has said what it processed, where that was not all."""
    for report in reports:
        for one in report.deliveries:
            if one.id == destination.id and (done := one.processing) and done.processed + done.failed:
                return f"report {report.id}: {done}" if done.failed else None
    return None


def _notes(status: Status) -> Iterator[Note]:
    """Those of the last report, but for what is among the problems."""
    last = status.last_report
    return (note for note in (last.notes if last else ()) if note.kind != "node_not_asked")


def _events(number: int, state: State) -> Sequence[Event]:
    stored = state.report(number)
    return stored[1] if stored else ()


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
        else:
            yield charts.Mark(when, _told(one), charts.cell(_worst(one)))


def _outcomes(status: Status) -> str:
    headers = ("Report", "Collected", "Events", "Nodes", "What became of it")
    rows = [
        (
            str(one.id),
            moment(one.collected_at),
            one.events,
            len(one.nodes),
            "; ".join(map(_said, one.deliveries)) or "JSON log only",
        )
        for one in status.reports
    ]
    return charts.table("Past reports as a table", headers, rows, _MEANINGS)


def _said(one: Delivery) -> str:
    error = f" ({one.error})" if one.error and one.delivered < one.events else ""
    return f"{one.destination}: {_told(one)}{error}"


def _counts(one: Delivery) -> dict[str, int]:
    return dict(zip(_KINDS[1:], (one.delivered, one.queued, one.dropped, one.rejected), strict=True))


def _worst(one: Delivery) -> str:
    kind = next((kind for kind, count in reversed(_counts(one).items()) if count), "delivered")
    if (done := one.processing) and done.failed:
        return "refused"
    return "processed" if done and kind == "delivered" and not done.unknown else kind


def _told(one: Delivery) -> str:
    told = ", ".join(f"{count:,} {what}" for what, count in _counts(one).items() if count)
    return f"{told}; {one.processing}" if one.processing else told


def _when(report: ReportStatus) -> str:
    return f"report {report.id}, {moment(report.collected_at)}"
