"""`/metrics`: what the service knows of itself, for Prometheus. Needs the extra `metrics`.

Everything is read when it is asked for, from the state and the queue on disk; nothing is counted here, and no registry
of the process is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.delivery import records
from bridge.delivery.errors import StoreError
from bridge.service.health.checks import not_ready
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client import Metric

    from bridge.delivery.records import DestinationRecord
    from bridge.delivery.store import Store
    from bridge.service.state import ServiceState

PREFIX: Final = "mongooseim_bridge_"


class Metrics:
    """A registry of its own with the service's metrics and those of its process."""

    def __init__(self, state: ServiceState, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(ServiceCollector(state, store))
        ProcessCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that the scraper asks for by its Accept header, and the format's content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class ServiceCollector(Collector):
    """The metrics of the service, read at the moment of the scrape."""

    def __init__(self, state: ServiceState, store: Store) -> None:
        self._state = state
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """Every metric; those of the queue are left out while the state file cannot be read."""
        yield InfoMetricFamily(PREFIX.rstrip("_"), "The running release.", value={"version": __version__})
        now = self._store.clock.wall()
        yield from self._service(now)
        try:
            destinations = records.status(self._store).destinations
        except StoreError:
            destinations = None
        yield _gauge("state_readable", "Whether the state file can be read.", destinations is not None)
        if destinations is not None:
            yield from self._deliveries(destinations, now)

    def _service(self, now: int) -> Iterator[Metric]:
        state = self._state
        yield _gauge("ready", "Whether /readyz says ready.", not_ready(state, now) is None)
        yield _gauge("start_time_seconds", "When the service started.", state.started_at / MICROSECONDS)
        yield _gauge("period_seconds", "Time between reports.", state.period)
        yield CounterMetricFamily(f"{PREFIX}reports", "Reports made since the start.", value=state.reports)
        yield _gauge("failed_attempts", "Attempts in a row that collected nothing.", state.failures)
        if state.next_report_at is not None:
            seconds = state.next_report_at / MICROSECONDS
            yield _gauge("next_report_time_seconds", "When the next report is due.", seconds)
        if state.last_report_at is not None:
            seconds = state.last_report_at / MICROSECONDS
            yield _gauge("last_report_time_seconds", "When the last report was collected.", seconds)
        if state.last_duration is not None:
            yield _gauge("last_report_duration_seconds", "How long collecting it took.", state.last_duration)
        if state.last_events is not None:
            yield _gauge("last_report_events", "Events in the last report.", state.last_events)
        if state.facts is not None:
            nodes = _gauge("nodes", "Nodes of the cluster as the last report saw it.", labels=("outcome",))
            nodes.add_metric(["asked"], len(state.facts.nodes))
            nodes.add_metric(["not_asked"], len(state.facts.unreachable))
            yield nodes

    def _deliveries(self, destinations: Sequence[DestinationRecord], now: int) -> Iterator[Metric]:
        events = CounterMetricFamily(
            f"{PREFIX}events",
            "Events by what became of them: delivered or rejected since the start, dropped over all time.",
            labels=("destination", "outcome", "reason"),
        )
        for one in self._state.destinations.values():
            events.add_metric([one.name, "delivered", ""], one.delivered)
            events.add_metric([one.name, "rejected", ""], one.rejected)
        for record in destinations:
            for drop in record.drops:
                events.add_metric([record.name, "dropped", drop.reason], drop.events)
        yield events
        for name, text, values in (
            ("queue_events", "Events that wait to be sent.", [record.events for record in destinations]),
            ("queue_batches", "Requests that wait to be sent.", [record.batches for record in destinations]),
            ("queue_bytes", "Size of what waits to be sent.", [record.bytes for record in destinations]),
            (
                "queue_age_seconds",
                "Age of the oldest report that waits to be sent, 0 where none does.",
                [0 if record.oldest is None else (now - record.oldest) / MICROSECONDS for record in destinations],
            ),
            (
                "destination_failing",
                "Whether the last attempt failed.",
                [record.retry_at is not None for record in destinations],
            ),
        ):
            family = _gauge(name, text, labels=("destination",))
            for record, value in zip(destinations, values, strict=True):
                family.add_metric([record.name], value)
            yield family
        delivered = _gauge("last_delivery_time_seconds", "When a request was last taken.", labels=("destination",))
        for record in destinations:
            if record.delivered_at is not None:
                delivered.add_metric([record.name], record.delivered_at / MICROSECONDS)
        yield delivered


def _gauge(
    name: str, text: str, value: float | None = None, *, labels: Sequence[str] | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", text, value=value, labels=labels)
