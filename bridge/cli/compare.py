"""`compare`: our events of a node against what its own reporter would send."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bridge.cli.context import AppContext, format_option, pass_app
from bridge.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.report.compare import Row

UNEXPLAINED_DIFFERENCE = 1


@click.command(name="compare")
@format_option("table", "json")
@click.option("--all", "everything", is_flag=True, help="Show what agrees as well.")
@click.pass_context
@pass_app
def command(app: AppContext, ctx: click.Context, form: str, *, everything: bool) -> None:
    """Compare with what MongooseIM's own reporter collects in the first node (--node), event by event.

    Each difference is shown with the documented deviation that explains it (docs/differences.md). Exits with 1 when
    one is unexplained. Sends and writes nothing; names that the own reporter would disclose are shown as it has them.
    """
    import asyncio  # noqa: PLC0415 - `--help` does not need it

    from bridge.report.compare import AGREES, UNEXPLAINED  # noqa: PLC0415

    rows = asyncio.run(_compare(app))
    shown = [row for row in rows if everything or row.verdict != AGREES]
    if form == "json":
        click.echo(json.dumps([asdict(row) for row in shown], indent=2))
    else:
        click.echo(_as_table(rows, shown))
    ctx.exit(UNEXPLAINED_DIFFERENCE if any(row.verdict == UNEXPLAINED for row in rows) else ExitCode.DONE)


async def _compare(app: AppContext) -> Sequence[Row]:
    from bridge.mongooseim.errors import NoNodeAnswered  # noqa: PLC0415 - as above
    from bridge.mongooseim.facts import Unreachable  # noqa: PLC0415
    from bridge.mongooseim.merge import merge  # noqa: PLC0415
    from bridge.mongooseim.own_report import ask_both  # noqa: PLC0415
    from bridge.report.compare import compare  # noqa: PLC0415
    from bridge.report.events import events  # noqa: PLC0415
    from bridge.report.increments import stanza_counts  # noqa: PLC0415
    from bridge.service.reporting import hidden_node  # noqa: PLC0415

    entry = app.access.entries[0]
    async with hidden_node(app.access) as node:
        answer, own = await ask_both(node, entry, timeout=app.settings.bridge.collect_timeout / 1000)
    if not answer.running:
        raise NoNodeAnswered([Unreachable(answer.name, f"MongooseIM is not running on {answer.name}")])
    facts = merge([answer])
    return compare(own, events(facts, stanza_counts({}, facts.stanzas)), answer)


def _as_table(rows: Sequence[Row], shown: Sequence[Row]) -> str:
    from bridge.report.table import table  # noqa: PLC0415 - as above

    counts = Counter[str]()
    for row in rows:
        counts[row.verdict] += row.times
    listed = table(
        ("event", "times", "MongooseIM", "bridge", "why"),
        [(row.event, row.times, row.own, row.ours, row.verdict) for row in shown],
    )
    summary = ", ".join(f"{count} × {verdict}" for verdict, count in counts.most_common())
    return f"{listed}\n{summary}"
