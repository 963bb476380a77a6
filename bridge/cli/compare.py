"""`compare`: our events of a node against what its own reporter would send."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import format_option, pass_installation
from bridge.cli.progress import Progress
from bridge.cli.shapes import Comparison, echo_json, shaped
from bridge.cli.table import table
from bridge.errors import ExitCode
from bridge.mongooseim.collect import ask, not_running
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.mongooseim.merge import merge
from bridge.mongooseim.own_report import ask_own_report
from bridge.report.compare import AGREES, UNEXPLAINED, compare
from bridge.report.events import events
from bridge.state.totals import stanza_counts
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.report.compare import Row

UNEXPLAINED_DIFFERENCE = 1


@click.command(name="compare", cls=Command)
@format_option("table", "json")
@click.option("--all", "everything", is_flag=True, help="Show what agrees as well.")
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, form: str, *, everything: bool) -> None:
    """Compare with what MongooseIM's own reporter collects in the first node (--node), event by event.

    Each difference is shown with the documented deviation that explains it (docs/differences.md). Exits with 1 when
    one is unexplained. Sends and writes nothing; names of your own that it would disclose stay in the node.
    """
    rows = run(_compare(installation))
    shown = [row for row in rows if everything or row.verdict != AGREES]
    if form == "json":
        echo_json(shaped(Comparison, rows=shown))
    else:
        click.echo(_as_table(rows, shown))
    ctx.exit(UNEXPLAINED_DIFFERENCE if any(row.verdict == UNEXPLAINED for row in rows) else ExitCode.DONE)


async def _compare(installation: Installation) -> Sequence[Row]:
    entry, seconds = installation.access.entries[0], installation.collect_timeout
    async with installation.node() as node, Progress(lambda: str(entry)):
        before = await ask(node, entry, timeout=seconds, also_known=installation.settings.bridge.also_known)
        own = await ask_own_report(node, entry, timeout=seconds)
        after = await ask(node, entry, timeout=seconds)
    if not before.running:
        raise NoNodeAnswered([not_running(before.name)])
    facts = merge([before])
    return compare(own, events(facts, stanza_counts({}, facts.stanzas)), before, after)


def _as_table(rows: Sequence[Row], shown: Sequence[Row]) -> str:
    counts = Counter[str]()
    for row in rows:
        counts[row.verdict] += row.times
    listed = table(
        ("event", "times", "MongooseIM", "bridge", "why"),
        [(row.event, row.times, row.own, row.ours, row.verdict) for row in shown],
    )
    summary = ", ".join(f"{count} × {verdict}" for verdict, count in counts.most_common())
    return f"{listed}\n{summary}"
