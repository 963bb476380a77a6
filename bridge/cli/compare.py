"""`compare`: our events of a node against what its own reporter would send."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.progress import Progress
from bridge.cli.table import table
from bridge.document import Document
from bridge.mongooseim.collect import ask, not_running
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.mongooseim.merge import merge
from bridge.mongooseim.own_report import ask_own_report
from bridge.report.compare import AGREES, UNEXPLAINED, Compared, compare
from bridge.report.events import events
from bridge.state.totals import stanza_counts
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation


class Comparison(Document, frozen=True):
    """`compare`."""

    rows: tuple[Compared, ...]


@click.command(name="compare", cls=Command)
@format_option("table", "json", document=Comparison)
@click.option("--all", "everything", is_flag=True, help="Show what agrees as well.")
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, form: str, *, everything: bool) -> None:
    """Compare with what MongooseIM's own reporter collects in the first node (--node), event by event.

    Each difference is shown with the documented deviation that explains it (docs/differences.md). Exits with 1 when
    one is unexplained. Sends and writes nothing; names of your own that it would disclose stay in the node.
    """
    rows = run(_compare(installation))
    shown = tuple(row for row in rows if everything or row.verdict != AGREES)
    if form == "json":
        echo_json(Comparison(shown))
    else:
        click.echo(_as_table(rows, shown))
    ctx.exit(any(row.verdict == UNEXPLAINED for row in rows))


async def _compare(installation: Installation) -> Sequence[Compared]:
    entry, seconds = installation.access.entries[0], installation.collect_timeout
    async with installation.node() as node, Progress(lambda: str(entry)):
        before = await ask(node, entry, timeout=seconds, also_known=installation.settings.bridge.also_known)
        own = await ask_own_report(node, entry, timeout=seconds)
        after = await ask(node, entry, timeout=seconds)
    if not before.running:
        raise NoNodeAnswered([not_running(before.name)])
    facts = merge([before])
    return compare(own, events(facts, stanza_counts({}, facts.stanzas)), before, after)


def _as_table(rows: Sequence[Compared], shown: Sequence[Compared]) -> str:
    counts = Counter[str]()
    for row in rows:
        counts[row.verdict] += row.times
    listed = table(
        ("event", "times", "MongooseIM", "bridge", "why"),
        [(row.event, row.times, row.own, row.ours, row.verdict) for row in shown],
    )
    summary = ", ".join(f"{count} × {verdict}" for verdict, count in counts.most_common())
    return f"{listed}\n{summary}"
