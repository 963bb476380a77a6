"""`report`: collect now, queue, write the JSON log, deliver; a summary on stdout."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import click

from bridge.cli.context import AppContext, format_option, pass_app
from bridge.errors import ExitCode
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.delivery.deliver import Outcome
    from bridge.service.reporting import Made

log = logging.getLogger(__name__)


@click.command(name="report")
@format_option("text", "json", help="Form of the summary.")
@click.pass_context
@pass_app
def command(app: AppContext, ctx: click.Context, form: str) -> None:
    """Collect now, queue the report, write the JSON log, and deliver what is queued.

    Exits with 1 when something is not delivered: it stays queued and goes out with the next report.
    """
    import asyncio  # noqa: PLC0415 - `--help` does not need it

    from bridge.service.consent import require  # noqa: PLC0415

    require(app.settings.service, app.environ)
    made, outcomes = asyncio.run(_report(app))
    for note in made.report.notes:
        log.warning(Line("report_note", report=made.id, note=note))
    click.echo(_as_json(made, outcomes) if form == "json" else _as_text(made, outcomes))
    ctx.exit(ExitCode.NOT_ALL_DELIVERED if any(_left(outcome) for outcome in outcomes) else ExitCode.DONE)


async def _report(app: AppContext) -> tuple[Made, Sequence[Outcome]]:
    from bridge.delivery.deliver import Health, deliver  # noqa: PLC0415 - as above
    from bridge.service.reporting import ask_cluster, make_report, make_sender, open_store  # noqa: PLC0415

    bridge = app.settings.bridge
    access, destinations = app.access, app.destinations
    with open_store(bridge) as store:
        async with make_sender(bridge, app.environ) as sender:
            made = await make_report(
                lambda: ask_cluster(access, bridge.collect_timeout / 1000),
                store,
                destinations,
                app.settings,
            )
            outcomes = await deliver(
                store,
                destinations,
                sender,
                seconds=bridge.deliver_timeout / 1000,
                health=Health(),
                ambiguity=bridge.ambiguous_timeout,
            )
    return made, outcomes


def _left(outcome: Outcome) -> int:
    return outcome.queued + outcome.rejected + outcome.dropped


def _as_json(made: Made, outcomes: Sequence[Outcome]) -> str:
    return json.dumps(
        {
            "report": made.id,
            "collected_at": made.report.collected_at,
            "events": len(made.report.events),
            "nodes": made.report.nodes,
            "json_log": str(made.json_log),
            "notes": made.report.notes,
            "destinations": [
                {
                    "name": outcome.name,
                    "delivered": outcome.delivered,
                    "queued": outcome.queued,
                    "rejected": outcome.rejected,
                    "dropped": outcome.dropped,
                    "error": outcome.error,
                }
                for outcome in outcomes
            ],
        },
        indent=2,
    )


def _as_text(made: Made, outcomes: Sequence[Outcome]) -> str:
    nodes = ", ".join(f"{node.name} ({node.version})" for node in made.facts.nodes)
    lines = [f"report {made.id}: {len(made.report.events)} events from {nodes}"]
    lines += [f"note: {note}" for note in made.report.notes]
    lines += [f"JSON log: {made.json_log}"]
    lines += [f"{outcome.name}: {_told(outcome)}" for outcome in outcomes]
    if not outcomes:
        lines += ["no destination is configured: the report is in the JSON log only"]
    return "\n".join(lines)


def _told(outcome: Outcome) -> str:
    counts = {
        "delivered": outcome.delivered,
        "queued": outcome.queued,
        "rejected": outcome.rejected,
        "dropped": outcome.dropped,
    }
    told = ", ".join(f"{count} events {what}" for what, count in counts.items() if count) or "nothing to deliver"
    return f"{told}: {outcome.error}" if outcome.error and _left(outcome) else told
