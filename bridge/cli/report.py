"""`report`: collect now, queue, write the JSON log, deliver; a summary on stdout."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import format_option, pass_installation
from bridge.cli.output import give_up_output
from bridge.cli.progress import Progress, ask_cluster
from bridge.cli.shapes import Deliveries, ReportResult, echo_json, shaped
from bridge.conditions import Conditions
from bridge.config.consent import notice, require
from bridge.delivery.loop import DeliveryLoop, deliver_within
from bridge.errors import ExitCode
from bridge.log import Line
from bridge.service.reporting import make_report
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.service.reporting import Made
    from bridge.state.state import State
    from bridge.state.status import DestinationStatus

log = logging.getLogger(__name__)


@click.command(name="report", cls=Command)
@format_option("text", "json", help="Form of the summary.")
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, form: str) -> None:
    """Collect now, queue the report, write the JSON log, and deliver what is queued.

    Exits with 1 when something is not delivered: it stays queued and goes out with the next report.
    """
    require(installation.consent)
    if installation.consent.notice:
        log.info(notice(installation.settings.bridge.log_dir, ", ".join(installation.configured.values())))
    made, before, after = run(_report(installation))
    rows = [_Row(one, next((each for each in before if each.id == one.id), None)) for one in after]
    try:
        if form == "json":
            echo_json(_shaped(made, rows))
        else:
            click.echo(_as_text(made, rows))
    except OSError as error:  # what became of the report counts, and is in the history
        give_up_output()
        log.warning(Line("summary_not_written", report=made.id, problem=error.strerror))
    ctx.exit(ExitCode.NOT_ALL_DELIVERED if any(row.left for row in rows) else ExitCode.DONE)


async def _report(
    installation: Installation,
) -> tuple[Made, Sequence[DestinationStatus], Sequence[DestinationStatus]]:
    bridge = installation.settings.bridge
    conditions = Conditions()
    with installation.state() as state:
        async with installation.sender() as sender:
            before = state.status(0).destinations
            made = await make_report(partial(ask_cluster, installation), state, installation)
            loops = [
                DeliveryLoop(destination, state, sender, conditions, ambiguity=bridge.ambiguous_timeout)
                for destination in installation.destinations
            ]
            async with Progress(lambda: _left(state)):
                await deliver_within(loops, bridge.deliver_timeout / 1000)
        after = state.status(0, installation.configured).destinations
    return made, before, [one for one in after if one.configured]


def _left(state: State) -> str:
    waiting = {one.name: one.queued_batches for one in state.status(0).destinations if one.queued_batches}
    return ", ".join(f"{name}: {batches} batches left" for name, batches in waiting.items()) or "the last answers"


class _Row:
    """What became of events at a destination while this command ran, and what is left of all reports."""

    def __init__(self, after: DestinationStatus, before: DestinationStatus | None) -> None:
        earlier = before.counters if before else {}
        more = {outcome: events - earlier.get(outcome, 0) for outcome, events in after.counters.items()}
        self.name = after.name
        self.counts = {
            "delivered": more.pop("delivered", 0),
            "queued": after.queued_events,
            "rejected": more.pop("rejected", 0),
            "dropped": sum(more.values()),
        }
        self.left = sum(self.counts.values()) - self.counts["delivered"]
        self.error = after.error if self.left else None


def _shaped(made: Made, rows: Sequence[_Row]) -> ReportResult:
    destinations = [Deliveries(name=row.name, error=row.error, **row.counts) for row in rows]
    report = made.report
    return shaped(
        ReportResult,
        report,
        report=made.id,
        events=len(report.events),
        nodes=tuple(report.nodes),
        json_log=str(made.json_log),
        destinations=destinations,
    )


def _as_text(made: Made, rows: Sequence[_Row]) -> str:
    nodes = ", ".join(f"{name} ({version})" for name, version in made.report.nodes.items())
    lines = [f"report {made.id}: {len(made.report.events)} events from {nodes}"]
    lines += [f"note: {note}" for note in made.report.notes]
    lines += [f"JSON log: {made.json_log}"]
    lines += [f"{row.name}: {_told(row)}" for row in rows]
    if not rows:
        lines += ["no destination is configured: the report is in the JSON log only"]
    return "\n".join(lines)


def _told(row: _Row) -> str:
    told = ", ".join(f"{count} events {what}" for what, count in row.counts.items() if count) or "nothing to deliver"
    return f"{told}: {row.error}" if row.error else told
