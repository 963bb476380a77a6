"""One report from end to end: collect, build, keep, write the JSON log. The service and `report` share it.

Write first, send second: the report is in the queue and in the JSON log before a byte goes out, so nothing is sent
that the operator cannot see, and nothing that was collected is lost by a crash.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.delivery.limits import EVENTS_PER_DAY
from bridge.log import Line
from bridge.mongooseim import wall
from bridge.report import json_log
from bridge.report.events import CONTRACT, events, new_params, within
from bridge.report.model import Note, Report
from bridge.state.queue import Target
from bridge.state.totals import remember, stanza_counts
from bridge.times import system_clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bridge.app import Installation
    from bridge.config.model import Settings
    from bridge.mongooseim.facts import ClusterFacts, StanzaTotals
    from bridge.state.state import State

log = logging.getLogger(__name__)

_DAY: Final = 86_400_000
"""In milliseconds, as the settings have time."""

NO_ID_YET: Final = "(random, made with the first report)"
"""In place of the Client ID in a preview before the first report."""

OWN_REPORTER_ON: Final = Note(
    "own_reporter_on",
    "",
    "MongooseIM's own reporter is on, so everything is counted twice where it reports to the same property",
    "set report = false in its section of mongooseim.toml and restart the nodes",
)


@dataclass(frozen=True, slots=True)
class Made:
    """A report that is kept and published, and may be delivered."""

    id: int
    report: Report
    facts: ClusterFacts
    json_log: Path


async def make_report(collect: Callable[[], Awaitable[ClusterFacts]], state: State, installation: Installation) -> Made:
    """Collect, keep in the queue, publish the JSON log. No other process reports at the same time.

    What a crash left between queue and JSON log is published first, so that the log shows the newest report last.

    Raises:
        NoNodeAnswered: nothing was collected.
        LimitError: a destination would not take the report whole.
        JsonLogError, StateError: it cannot be kept; the totals are as before, so the next increments hold it.
    """
    settings = installation.settings
    log_dir = Path(settings.bridge.log_dir)
    async with state.reporting():
        for left, its_events in state.unpublished().items():
            json_log.prepare(log_dir, its_events).publish()
            state.published(left)
        facts = await collect()
        client_id = facts.cluster_id or state.client_id()
        agreed = state.agreed()
        report = build_report(facts, state.stanza_totals(), client_id, state.clock.wall(), settings, agreed=agreed)
        targets = [Target(one.id, one.name, one.batches(report)) for one in installation.targets]
        prepared = json_log.prepare(log_dir, report.events)
        try:
            number = state.add(report, targets)
        except BaseException:
            prepared.discard()
            raise
        path = prepared.publish()
        while not state.published(number):
            number = state.add(report, targets)
        state.agree(agreed if settings.bridge.new_facts == "hold" else CONTRACT)
    log.info(Line("report_collected", report=number, nodes=len(report.nodes), events=len(report.events)))
    return Made(number, report, facts, path)


async def preview_report(collect: Callable[[], Awaitable[ClusterFacts]], installation: Installation) -> Report:
    """The report as it would be made now; nothing is kept or sent.

    Raises:
        NoNodeAnswered: there is nothing to report.
        StateError: the state file cannot be read.
    """
    facts = await collect()
    totals, kept, agreed = _remembered(installation)
    client_id = facts.cluster_id or kept or NO_ID_YET
    return build_report(facts, totals, client_id, system_clock().wall(), installation.settings, agreed=agreed)


def _remembered(installation: Installation) -> tuple[StanzaTotals, str | None, int]:
    """What the last report left, the Client ID, and the contract that was agreed to, without making anything."""
    if lexists(installation.settings.bridge.state_dir):  # else the 12 ms that it takes to import SQLite are spared
        with installation.state(look=True) as state:
            return state.stanza_totals(), state.kept_client_id(), state.agreed()
    return {}, None, CONTRACT


def build_report(
    facts: ClusterFacts,
    previous: StanzaTotals,
    client_id: str,
    collected_at: int,
    settings: Settings,
    *,
    agreed: int = CONTRACT,
) -> Report:
    """The report of a cluster's facts.

    Args:
        facts: what the cluster answered.
        previous: the totals that the last report remembered.
        client_id: the cluster's persistent id, or the installation's own random one.
        collected_at: microseconds since 1970.
        settings: for how modules are reported, and how often.
        agreed: the contract that the operator agreed to.
    """
    counts = stanza_counts(previous, facts.stanzas)
    produced = events(facts, counts, aggregate_modules=settings.bridge.aggregate_modules)
    if settings.bridge.new_facts == "hold":
        produced = within(agreed, produced)
    return Report(
        client_id=client_id,
        collected_at=collected_at,
        events=produced,
        totals=remember(previous, facts.stanzas),
        nodes={node.name: node.version for node in facts.nodes},
        missing={node.node: str(node) for node in facts.unreachable},
        notes=(*new_facts(agreed, settings), *_notes(facts, len(produced), settings)),
    )


def new_facts(agreed: int, settings: Settings) -> tuple[Note, ...]:
    """A note of what this release can report beyond what the operator agreed to, and what becomes of it."""
    if not (new := new_params(agreed)):
        return ()
    what = f"contract {CONTRACT} has more than contract {agreed}, which you agreed to: {', '.join(map('.'.join, new))}"
    if settings.bridge.new_facts == "hold":
        return (Note("new_facts", "", f"{what}; kept back", "`mongooseim-bridge consent accept` reports it"),)
    return (Note("new_facts", "", f"{what}; reported from now on", 'bridge.new_facts = "hold" would keep it back'),)


def log_new_facts(agreed: int, settings: Settings) -> None:
    """Say it before anything is sent."""
    for note in new_facts(agreed, settings):
        log.info(Line(note.kind, problem=note.what, remedy=note.remedy))


def _notes(facts: ClusterFacts, number: int, settings: Settings) -> Iterator[Note]:
    """What the operator should know about a report: the one place where it is worked out."""
    yield from (
        Note("node_not_asked", node.node, f"not asked: {node.reason}", node.remedy) for node in facts.unreachable
    )
    for fact in facts.notes:
        yield Note(
            "fact_failed", fact, f"could not be asked: {fact}", "what it would have said is missing in the report"
        )
    if facts.own_reporter:
        yield OWN_REPORTER_ON
    if facts.other_bridges:
        others = f"{facts.other_bridges} other bridge{'s' if facts.other_bridges > 1 else ''}"
        yield Note("second_bridge", "", f"{others} in the cluster, so everything is counted twice", "stop all but one")
    newer = sorted({node.version for node in facts.nodes if node.version and wall.is_newer(node.version)})
    if newer and facts.custom_module_count:
        unknown = (
            "1 unknown module" if facts.custom_module_count == 1 else f"{facts.custom_module_count} unknown modules"
        )
        yield Note(
            "unknown_modules",
            "",
            f"{unknown} on a release newer than this bridge knows ({', '.join(newer)}, known up to {wall.NEWEST})",
            "they are counted as custom: upgrade the bridge, or name those that are MongooseIM's in bridge.also_known",
        )
    used = {module.name for group in facts.modules for module in group.modules}
    if named := sorted(used.intersection(settings.bridge.also_known)):
        yield Note("also_known", "", f"reported by name because of bridge.also_known: {', '.join(named)}")
    events_per_day = number * _DAY / settings.service.periodic_report
    if events_per_day > EVENTS_PER_DAY:
        yield Note(
            "too_many_events",
            "",
            f"at this rate {events_per_day:,.0f} events a day: GA4 drops those beyond {EVENTS_PER_DAY:,} silently",
            "set bridge.aggregate_modules = true, or a longer periodic_report",
        )
