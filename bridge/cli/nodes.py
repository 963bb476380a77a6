"""`nodes`: the cluster as it is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import format_option, pass_installation
from bridge.cli.progress import ask_cluster
from bridge.cli.table import table
from bridge.report.events import uptime
from bridge.threads import run
from bridge.times import moment

if TYPE_CHECKING:
    from bridge.app import Installation
    from bridge.state.status import NodeStatus

_NAMES = ("node", "state", "mongooseim", "otp", "uptime_seconds", "sees_nodes", "reason")


@click.command(name="nodes", cls=Command)
@format_option("table", "json")
@click.option("--forget", metavar="NAME", help="Show a node that no longer answers as missing no more, and end.")
@pass_installation
def command(installation: Installation, form: str, forget: str | None) -> None:
    """Show every node of the cluster: up or why not, MongooseIM and OTP release, uptime.

    Nodes that were in an earlier report and are no longer seen are shown as missing, for `missing_days` or until they
    are forgotten.
    """
    if forget:
        with installation.state() as state:
            if not state.forget_node(forget):
                raise click.BadParameter(f"no missing node is called {forget}", param_hint="--forget")
        return
    facts = run(ask_cluster(installation))
    rows: list[tuple[object, ...]] = [
        (node.name, "up", node.version, node.otp_release, node.uptime_seconds, node.node_number, "")
        for node in facts.nodes
    ]
    rows += [(node.node, "not asked", None, None, None, None, str(node)) for node in facts.unreachable]
    seen = {row[0] for row in rows}
    rows += [
        (node.name, "missing", node.version, None, None, None, f"since {moment(node.missing_since)}: {node.reason}")
        for node in _known(installation)
        if node.name not in seen and node.missing_since
    ]
    if form == "json":
        click.echo(json.dumps([dict(zip(_NAMES, row, strict=True)) for row in rows], indent=2))
        return
    shown = [(*row[:4], uptime(row[4]) if isinstance(row[4], int) else None, *row[5:]) for row in rows]
    click.echo(table(("node", "state", "mongooseim", "otp", "uptime", "sees", "reason"), shown), nl=False)


def _known(installation: Installation) -> tuple[NodeStatus, ...]:
    """The nodes of earlier reports, where there are any."""
    from bridge.state.errors import StateError  # noqa: PLC0415 - SQLite is imported where it is needed

    try:
        with installation.state(look=True) as state:
            return state.status(0).nodes
    except StateError:
        return ()
