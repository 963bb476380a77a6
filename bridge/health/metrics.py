"""`/metrics`: the status for Prometheus. Needs the extra `metrics`.

Nothing is counted here: every number is one of `Status`, and no registry of the process is used.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.state.queue import Outcome
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client import Metric

    from bridge.state.status import DestinationStatus, ReportStatus, ServiceStatus, Status

PREFIX: Final = "mongooseim_bridge_"


class Gauge(NamedTuple):
    """One gauge: its name without prefix, its help text, and how it is read; None leaves it out."""

    name: str
    text: str
    read: Callable[..., float | None]


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / MICROSECONDS


def _age(one: DestinationStatus, now: int) -> float:
    return 0.0 if one.oldest is None else (now - one.oldest) / MICROSECONDS


SERVICE: Final[tuple[Gauge, ...]] = (
    Gauge("start_time_seconds", "When the service started.", lambda service: _seconds(service.started_at)),
    Gauge("period_seconds", "Time between reports.", lambda service: service.period),
    Gauge("failed_attempts", "Attempts in a row that collected nothing.", lambda service: service.failures),
    Gauge(
        "next_report_timestamp_seconds",
        "When the next report is due.",
        lambda service: _seconds(service.next_report_at),
    ),
    Gauge(
        "config_last_reload_successful",
        "Whether the configuration that was read last is in force.",
        lambda service: service.reload_error is None,
    ),
    Gauge("last_report_duration_seconds", "How long collecting it took.", lambda service: service.last_duration),
)
"""Of the service."""
REPORT: Final[tuple[Gauge, ...]] = (
    Gauge(
        "last_report_timestamp_seconds", "When the last report was collected.", lambda last: _seconds(last.collected_at)
    ),
    Gauge("last_report_events", "Events in the last report.", lambda last: last.events),
)
"""Of the last report."""
DESTINATION: Final[tuple[Gauge, ...]] = (
    Gauge("queue_events", "Events that wait to be sent.", lambda one, _: one.queued_events),
    Gauge("queue_batches", "Requests that wait to be sent.", lambda one, _: one.queued_batches),
    Gauge("queue_bytes", "Size of what waits to be sent.", lambda one, _: one.queued_bytes),
    Gauge("queue_age_seconds", "Age of the oldest report that waits to be sent, 0 where none does.", _age),
    Gauge(
        "destination_failing",
        "Whether no delivery has succeeded since events were last delayed, refused or given up.",
        lambda one, _: one.failing_since is not None,
    ),
    Gauge(
        "last_delivery_timestamp_seconds", "When a request was last taken.", lambda one, _: _seconds(one.delivered_at)
    ),
)
"""Of each destination, by its label `destination`."""


def exposition(status: Status | None, accept: str) -> tuple[bytes, str]:
    """All metrics in the format that the scraper asks for by its Accept header, and the format's content type.

    Args:
        status: of this moment; None where the state file cannot be read.
        accept: the header.
    """
    registry = CollectorRegistry()
    registry.register(_StatusCollector(status))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _StatusCollector(Collector):
    def __init__(self, status: Status | None) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        return families(self._status)


def families(status: Status | None) -> Iterator[Metric]:
    """Every metric of ours; what has no value at the moment is left out."""
    yield InfoMetricFamily(PREFIX.rstrip("_"), "The running release.", value={"version": __version__})
    yield _gauge("state_readable", "Whether the state file can be read.", status is not None)
    if status is None:
        return
    yield _gauge("ready", "Whether /readyz says ready.", status.not_ready is None)
    yield from _single(SERVICE, status.service)
    if status.service:
        text = "Reports made since the start."
        yield CounterMetricFamily(f"{PREFIX}reports", text, value=status.service.reports)
    last = status.last_report
    yield from _single(REPORT, last)
    about_notes = "What the operator should know of the last report, by kind, where there is any."
    notes = _gauge("last_report_notes", about_notes, labels=["kind"])
    for kind, times in Counter(note.kind for note in (last.notes if last else ())).items():
        notes.add_metric([kind], times)
    yield notes
    about_nodes = "Nodes of the cluster at the last report, by whether they answered it."
    nodes = _gauge("nodes", about_nodes, labels=["outcome"])
    missing = sum(node.missing_since is not None for node in status.nodes)
    nodes.add_metric(["asked"], len(status.nodes) - missing)
    nodes.add_metric(["not_asked"], missing)
    yield nodes
    yield from _destinations(status)


def _single(gauges: tuple[Gauge, ...], source: ServiceStatus | ReportStatus | None) -> Iterator[Metric]:
    for gauge in gauges if source else ():
        if (value := gauge.read(source)) is not None:
            yield _gauge(gauge.name, gauge.text, value)


def _destinations(status: Status) -> Iterator[Metric]:
    labels = ["destination", "outcome"]
    about_events = "Events by what became of them, over all time."
    events = CounterMetricFamily(f"{PREFIX}events", about_events, labels=labels)
    about_processing = "Delivered events of the reports in the history, by what Google says became of them."
    processing = _gauge("processing_events", about_processing, labels=labels)
    named = _named(status.destinations)
    for name, one in named:
        for outcome in Outcome:
            if outcome is not Outcome.RETRY:
                events.add_metric([name, outcome], one.counters.get(outcome, 0))
        for said in ("processed", "failed", "unknown") if one.processing else ():
            processing.add_metric([name, said], getattr(one.processing, said))
    yield events
    yield processing
    for gauge in DESTINATION:
        family = _gauge(gauge.name, gauge.text, labels=["destination"])
        for name, one in named:
            if (value := gauge.read(one, status.now)) is not None:
                family.add_metric([name], value)
        yield family


def _named(destinations: Sequence[DestinationStatus]) -> list[tuple[str, DestinationStatus]]:
    """Each destination by its name, or by its whole id where another one has the same name."""
    names = [one.name for one in destinations]
    return [(one.name if names.count(one.name) == 1 else one.id, one) for one in destinations]


def _gauge(name: str, text: str, value: float | None = None, labels: list[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", text, value=value, labels=labels)
