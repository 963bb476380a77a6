"""`compare`: our events of a node against what its own reporter would send."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bridge.cli.context import format_option, pass_installation
from bridge.cli.table import table
from bridge.errors import ExitCode
from bridge.mongooseim.collect import not_running
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.mongooseim.merge import merge
from bridge.mongooseim.own_report import ask_both
from bridge.report.compare import AGREES, UNEXPLAINED, compare
from bridge.report.events import events
from bridge.state.totals import stanza_counts
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.report.compare import Row

UNEXPLAINED_DIFFERENCE = 1


@click.command(name="compare")
@format_option("table", "json")
@click.option("--all", "everything", is_flag=True, help="Show what agrees as well.")
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, form: str, *, everything: bool) -> None:
    """Compare with what MongooseIM's own reporter collects in the first node (--node), event by event.

    Each difference is shown with the documented deviation that explains it (docs/differences.md). Exits with 1 when
    one is unexplained. Sends and writes nothing; names that the own reporter would disclose are shown as it has them.
    """
    rows = run(_compare(installation))
    shown = [row for row in rows if everything or row.verdict != AGREES]
    if form == "json":
        click.echo(json.dumps([asdict(row) for row in shown], indent=2))
    else:
        click.echo(_as_table(rows, shown))
    ctx.exit(UNEXPLAINED_DIFFERENCE if any(row.verdict == UNEXPLAINED for row in rows) else ExitCode.DONE)


async def _compare(installation: Installation) -> Sequence[Row]:

    entry = installation.access.entries[0]
    async with installation.node() as node:
        answer, own = await ask_both(node, entry, timeout=installation.collect_timeout)
    if not answer.running:
        raise NoNodeAnswered([not_running(answer.name)])
    facts = merge([answer])
    return compare(own, events(facts, stanza_counts({}, facts.stanzas)), answer)


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
