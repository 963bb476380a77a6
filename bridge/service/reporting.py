"""One report from end to end: collect, build, keep, write the JSON log, deliver. The service and `report` share it.

Write first, send second: the report is in the queue and in the JSON log before a byte goes out, so nothing is sent
that the operator cannot see, and nothing that was collected is lost by a crash.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.delivery.limits import EVENTS_PER_DAY
from bridge.log import Line
from bridge.report import json_log
from bridge.report.events import events
from bridge.report.increments import remember, stanza_counts
from bridge.report.model import Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from bridge.config.access import Access
    from bridge.config.model import BridgeSection, Settings
    from bridge.delivery.destination import Destination
    from bridge.delivery.sender import Sender
    from bridge.delivery.store import Store
    from bridge.erlang.node import Node
    from bridge.mongooseim.facts import ClusterFacts, StanzaTotals

log = logging.getLogger(__name__)

_DAY: Final = 86_400_000
"""In milliseconds, as the settings have time."""

OWN_REPORTER_ON = (
    "MongooseIM's own reporter is on, so everything is counted twice; "
    "set report = false in its section of mongooseim.toml and restart or reload the nodes"
)


async def ask_cluster(access: Access, timeout: float) -> ClusterFacts:  # noqa: ASYNC109
    """Join the cluster, ask every node, leave; for one-shot commands.

    Args:
        access: how to reach the cluster.
        timeout: seconds for each node.

    Raises:
        NoNodeAnswered: not one node could be asked.
    """
    from bridge.mongooseim.collect import collect  # noqa: PLC0415 - asyncio costs more than all else at start-up

    async with hidden_node(access) as node:
        return await collect(node, access.entries, timeout=timeout)


def hidden_node(access: Access) -> Node:
    """Our node for a one-shot command: without a name of our own, each peer lends one."""
    return access.node(str(access.own_name) if access.named else None)


@dataclass(frozen=True, slots=True)
class Made:
    """A report that is kept and published, and may be delivered."""

    id: int
    report: Report
    facts: ClusterFacts
    json_log: Path


async def make_report(
    collect: Callable[[], Awaitable[ClusterFacts]],
    store: Store,
    destinations: Sequence[Destination],
    settings: Settings,
) -> Made:
    """Collect, keep in the queue, publish the JSON log. No other process reports at the same time.

    What a crash left between queue and JSON log is published first, so that the log shows the newest report last.

    Raises:
        NoNodeAnswered: nothing was collected.
        JsonLogError, StoreError: it cannot be kept; the totals are as before, so the next increments hold it.
    """
    log_dir = Path(settings.bridge.log_dir)
    async with store.reporting():
        for left in store.unpublished():
            json_log.prepare(log_dir, left.events).publish()
            store.published(left.id)
        facts = await collect()
        collected_at = store.clock.wall()
        client_id = facts.cluster_id or store.client_id()
        totals = store.stanza_totals()
        report = build_report(facts, totals, client_id, collected_at, settings)
        prepared = json_log.prepare(log_dir, report.events)
        try:
            number = store.add(report, destinations)
        except BaseException:
            prepared.discard()
            raise
        path = prepared.publish()
        store.published(number)
    log.info(Line("report_collected", report=number, nodes=len(report.nodes), events=len(report.events)))
    return Made(number, report, facts, path)


def open_store(bridge: BridgeSection, *, create: bool = True) -> Store:
    """The state directory, bounded as the configuration says.

    Raises:
        NoStore: nothing is there, and `create` is False.
        StoreError: it cannot be used.
    """
    from bridge.delivery.drops import Bounds  # noqa: PLC0415 - SQLite costs start-up time
    from bridge.delivery.store import Store  # noqa: PLC0415

    bounds = Bounds(bridge.queue_max_batches, bridge.queue_max_bytes, bridge.history_days)
    return Store.open(Path(bridge.state_dir), bounds=bounds, create=create)


def make_sender(bridge: BridgeSection, environ: Mapping[str, str]) -> Sender:
    """What posts to the destinations, through the proxy and with the CAs of the configuration.

    Raises:
        DestinationError: the CA file cannot be used.
    """
    from bridge.delivery.sender import Sender  # noqa: PLC0415 - httpx costs start-up time

    ca_file = Path(bridge.ca_file) if bridge.ca_file else None
    return Sender(ca_file=ca_file, proxy=bridge.proxy, environ=environ)


def build_report(
    facts: ClusterFacts, previous: StanzaTotals, client_id: str, collected_at: int, settings: Settings
) -> Report:
    """The report of a cluster's facts.

    Args:
        facts: what the cluster answered.
        previous: the totals that the last report remembered.
        client_id: the cluster's persistent id, or the installation's own random one.
        collected_at: microseconds since 1970.
        settings: for how modules are reported, and how often.
    """
    counts = stanza_counts(previous, facts.stanzas)
    produced = events(facts, counts, aggregate_modules=settings.bridge.aggregate_modules)
    return Report(
        client_id=client_id,
        collected_at=collected_at,
        events=produced,
        totals=remember(previous, facts.stanzas),
        nodes=tuple(node.name for node in facts.nodes),
        notes=tuple(_notes(facts, len(produced), settings)),
    )


def _notes(facts: ClusterFacts, number: int, settings: Settings) -> Iterator[str]:
    """What the operator should know about a report: who was not asked, what failed, what is counted twice or lost."""
    yield from (f"not asked: {node.reason}" for node in facts.unreachable)
    yield from (f"could not be asked: {note}" for note in facts.notes)
    if facts.own_reporter:
        yield OWN_REPORTER_ON
    if problem := too_many_a_day(number, settings):
        yield problem


def too_many_a_day(number: int, settings: Settings) -> str | None:
    """What is wrong with reports of so many events at the configured pace; None when GA4 takes them all."""
    events_per_day = number * _DAY / settings.service.periodic_report
    if events_per_day <= EVENTS_PER_DAY:
        return None
    return (
        f"at this rate {events_per_day:,.0f} events a day; GA4 drops those beyond {EVENTS_PER_DAY:,} without a word; "
        "set bridge.aggregate_modules = true, or a longer periodic_report"
    )
