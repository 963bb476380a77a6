"""`report`: collect now, queue, write the JSON log, deliver; a summary on stdout."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.delivery import Delivered, deliver, delivered_since
from bridge.cli.output import give_up_output
from bridge.cli.progress import ask_cluster
from bridge.config.consent import notice, require
from bridge.document import Document
from bridge.log import Line
from bridge.report.model import Note  # noqa: TC001 - msgspec reads the annotations
from bridge.service.reporting import log_new_facts, make_report
from bridge.threads import run
from bridge.times import Time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.service.reporting import Made

log = logging.getLogger(__name__)


class ReportResult(Document, frozen=True):
    """`report`."""

    report: int
    collected_at: Time
    events: int
    nodes: tuple[str, ...]
    json_log: str
    notes: tuple[Note, ...]
    destinations: tuple[Delivered, ...]


@click.command(name="report", cls=Command)
@format_option("text", "json", document=ReportResult, help="Form of the summary.")
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, form: str) -> None:
    """Collect now, queue the report, write the JSON log, and deliver what is queued.

    Exits with 1 when something is not delivered: it stays queued and goes out with the next report.
    """
    require(installation.consent)
    if installation.consent.notice:
        log.info(notice(installation.settings.bridge.log_dir, ", ".join(installation.configured.values())))
    made, rows = run(_report(installation))
    try:
        if form == "json":
            echo_json(_result(made, rows))
        else:
            click.echo(_as_text(made, rows))
    except OSError as error:  # what became of the report counts, and is in the history
        give_up_output()
        log.warning(Line("summary_not_written", report=made.id, problem=error.strerror))
    ctx.exit(any(row.left for row in rows))


async def _report(installation: Installation) -> tuple[Made, tuple[Delivered, ...]]:
    installation.check()
    with installation.state() as state:
        async with installation.sender() as sender:
            before = state.status(0).destinations
            log_new_facts(state.agreed(), installation.settings)
            made = await make_report(partial(ask_cluster, installation), state, installation)
            await deliver(installation, state, sender)
        return made, delivered_since(before, installation, state)


def _result(made: Made, rows: tuple[Delivered, ...]) -> ReportResult:
    report, log_file = made.report, str(made.json_log)
    at, nodes = Time(report.collected_at), tuple(report.nodes)
    return ReportResult(made.id, at, len(report.events), nodes, log_file, report.notes, rows)


def _as_text(made: Made, rows: Sequence[Delivered]) -> str:
    nodes = ", ".join(f"{name} ({version})" for name, version in made.report.nodes.items())
    lines = [f"report {made.id}: {len(made.report.events)} events from {nodes}"]
    lines += [f"note: {note}" for note in made.report.notes]
    lines += [f"JSON log: {made.json_log}"]
    lines += map(str, rows)
    if not rows:
        lines += ["no destination is configured: the report is in the JSON log only"]
    return "\n".join(lines)
