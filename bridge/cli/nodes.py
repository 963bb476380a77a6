"""`nodes`: the cluster as it is seen."""

from __future__ import annotations

import json

import click

from bridge.cli.context import AppContext, format_option, pass_app


@click.command(name="nodes")
@format_option("table", "json")
@pass_app
def command(app: AppContext, form: str) -> None:
    """Show every node of the cluster: up or why not, MongooseIM and OTP release, uptime."""
    import asyncio  # noqa: PLC0415 - `--help` does not need it

    from bridge.report.events import uptime  # noqa: PLC0415
    from bridge.report.table import table  # noqa: PLC0415
    from bridge.service.reporting import ask_cluster  # noqa: PLC0415

    facts = asyncio.run(ask_cluster(app.access, app.settings.bridge.collect_timeout / 1000))
    rows = [
        (node.name, "up", node.version, node.otp_release, node.uptime_seconds, node.node_number, "")
        for node in facts.nodes
    ] + [(node.node, "not asked", None, None, None, None, node.reason) for node in facts.unreachable]
    if form == "json":
        names = ("node", "state", "mongooseim", "otp", "uptime_seconds", "sees_nodes", "reason")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return
    shown = [
        (name, state, version, otp, None if seconds is None else uptime(seconds), sees, reason)
        for name, state, version, otp, seconds, sees, reason in rows
    ]
    click.echo(table(("node", "state", "mongooseim", "otp", "uptime", "sees", "reason"), shown), nl=False)
