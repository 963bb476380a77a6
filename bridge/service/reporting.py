"""One report from end to end: collect, build, keep, write the JSON log, deliver. The service and `report` share it.

Write first, send second: the report is in the queue and in the JSON log before a byte goes out, so nothing is sent
that the operator cannot see, and nothing that was collected is lost by a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.report.events import events
from bridge.report.increments import remember, stanza_counts
from bridge.report.model import Report

if TYPE_CHECKING:
    from bridge.config.access import Access
    from bridge.mongooseim.facts import ClusterFacts, StanzaTotals

OWN_REPORTER_ON = (
    "MongooseIM's own reporter is on, so everything is counted twice; "
    "set report = false in its section of mongooseim.toml and restart or reload the nodes"
)


async def ask_cluster(access: Access, timeout: float) -> ClusterFacts:  # noqa: ASYNC109
    """Join the cluster, ask every node, leave. For one-shot commands: without a name of our own, a lent one is used.

    Args:
        access: how to reach the cluster.
        timeout: seconds for each node.

    Raises:
        NoNodeAnswered: not one node could be asked.
    """
    from bridge.erlang.node import Node  # noqa: PLC0415 - asyncio costs more than all else at start-up
    from bridge.mongooseim.collect import collect  # noqa: PLC0415

    own_name = str(access.own_name) if access.named else None
    async with Node(own_name, access.cookie.secret, epmd_port=access.epmd_port, tls=access.tls) as node:
        return await collect(node, access.entries, timeout=timeout)


def build_report(
    facts: ClusterFacts, previous: StanzaTotals, client_id: str, collected_at: int, *, aggregate_modules: bool
) -> Report:
    """The report of a cluster's facts.

    Args:
        facts: what the cluster answered.
        previous: the totals that the last report remembered.
        client_id: the Client ID to use unless the cluster has a persistent id.
        collected_at: microseconds since 1970.
        aggregate_modules: as the configuration says.
    """
    counts = stanza_counts(previous, facts.stanzas)
    return Report(
        client_id=facts.cluster_id or client_id,
        collected_at=collected_at,
        events=events(facts, counts, aggregate_modules=aggregate_modules),
        totals=remember(previous, facts.stanzas),
        nodes=tuple(node.name for node in facts.nodes),
        notes=notes(facts),
    )


def notes(facts: ClusterFacts) -> tuple[str, ...]:
    """What the operator should know about a report: who was not asked, what failed, what is counted twice."""
    absent = (f"not asked: {node.reason}" for node in facts.unreachable)
    failed = (f"could not be asked: {note}" for note in facts.notes)
    return (*absent, *failed, *((OWN_REPORTER_ON,) if facts.own_reporter else ()))
