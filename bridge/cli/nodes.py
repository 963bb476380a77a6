"""`nodes`: the cluster as it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click
from msgspec import Struct

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.progress import ask_cluster
from bridge.cli.table import table
from bridge.document import Document
from bridge.report.events import uptime
from bridge.threads import run
from bridge.times import Time, moment

if TYPE_CHECKING:
    from bridge.app import Installation
    from bridge.state.status import NodeStatus


class NodeRow(Struct, frozen=True, kw_only=True):
    """A node of the cluster."""

    node: str
    state: Literal["up", "not asked", "missing"]
    mongooseim: str | None = None
    otp: str | None = None
    uptime_seconds: int | None = None
    sees_nodes: int | None = None
    missing_since: Time | None = None
    reason: str = ""


class Nodes(Document, frozen=True):
    """`nodes`."""

    nodes: tuple[NodeRow, ...]


@click.command(name="nodes", cls=Command)
@format_option("table", "json", document=Nodes)
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
    rows = [
        NodeRow(
            node=node.name,
            state="up",
            mongooseim=node.version,
            otp=node.otp_release,
            uptime_seconds=node.uptime_seconds,
            sees_nodes=node.node_number,
        )
        for node in facts.nodes
    ]
    rows += [NodeRow(node=node.node, state="not asked", reason=str(node)) for node in facts.unreachable]
    seen = {row.node for row in rows}
    rows += [
        NodeRow(
            node=node.name,
            state="missing",
            mongooseim=node.version,
            missing_since=node.missing_since,
            reason=node.reason or "",
        )
        for node in _known(installation)
        if node.name not in seen and node.missing_since
    ]
    if form == "json":
        echo_json(Nodes(tuple(rows)))
    else:
        headers = ("node", "state", "mongooseim", "otp", "uptime", "sees", "reason")
        click.echo(table(headers, map(_cells, rows)), nl=False)


def _cells(row: NodeRow) -> tuple[object, ...]:
    since = f"since {moment(row.missing_since)}: " if row.missing_since else ""
    up = None if row.uptime_seconds is None else uptime(row.uptime_seconds)
    return row.node, row.state, row.mongooseim, row.otp, up, row.sees_nodes, f"{since}{row.reason}"


def _known(installation: Installation) -> tuple[NodeStatus, ...]:
    """The nodes of earlier reports, where there are any."""
    from bridge.state.errors import StateError  # noqa: PLC0415 - SQLite is imported where it is needed

    try:
        with installation.state(look=True) as state:
            return state.status(0).nodes
    except StateError:
        return ()
