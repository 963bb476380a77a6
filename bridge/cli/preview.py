"""`preview`: exactly what would be sent; sends and writes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.context import AppContext, format_option, pass_app

if TYPE_CHECKING:
    from bridge.mongooseim.facts import StanzaTotals
    from bridge.report.model import Report

NO_ID_YET: Final = "(random, made with the first report)"


@click.command(name="preview")
@format_option(
    *("table", "json", "ga4"), help="A table for people, the JSON log, or the bodies of the requests, one a line."
)
@pass_app
def command(app: AppContext, form: str) -> None:
    """Show exactly what a report would send now. Sends and writes nothing, and works with reporting off too."""
    import asyncio  # noqa: PLC0415 - `--help` does not need it

    from bridge.report.json_log import as_json  # noqa: PLC0415

    report = asyncio.run(current_report(app))
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    if form == "json":
        click.echo(as_json(report.events), nl=False)
    elif form == "ga4":
        click.echo("\n".join(_bodies(app, report)))
    else:
        click.echo(_as_table(app, report))


async def current_report(app: AppContext) -> Report:
    """The report as it would be made now; nothing is kept.

    Raises:
        NoNodeAnswered: there is nothing to report.
    """
    from bridge.service.reporting import ask_cluster, build_report  # noqa: PLC0415 - as above

    facts = await ask_cluster(app.access, app.settings.bridge.collect_timeout / 1000)
    totals, kept = _remembered(app)
    client_id = facts.cluster_id or kept or NO_ID_YET
    return build_report(facts, totals, client_id, time.time_ns() // 1000, app.settings)


def _remembered(app: AppContext) -> tuple[StanzaTotals, str | None]:
    """What the last report left, without making anything where there was none."""
    from bridge.delivery.errors import NoStore  # noqa: PLC0415 - as above
    from bridge.service.reporting import open_store  # noqa: PLC0415

    try:
        with open_store(app.settings.bridge, create=False) as store:
            return store.stanza_totals(), store.get("client_id")
    except NoStore:
        return {}, None


def _bodies(app: AppContext, report: Report) -> list[str]:
    from bridge.config.destinations import location  # noqa: PLC0415 - as above
    from bridge.delivery.batches import batches  # noqa: PLC0415

    return [batch.body.decode() for batch in batches(report, location(app.settings.bridge))]


def _as_table(app: AppContext, report: Report) -> str:
    from bridge.config.errors import ConfigError  # noqa: PLC0415 - as above
    from bridge.report.table import events_table  # noqa: PLC0415
    from bridge.service.consent import consent  # noqa: PLC0415

    allowed = consent(app.settings.service, app.environ)
    try:
        where = ", ".join(destination.name for destination in app.destinations) or "nobody: no destination"
    except ConfigError as error:
        where = f"nobody: {error}"
    if not allowed.given:
        where = f"nobody: {allowed.reason}"
    summary = f"{len(report.events)} events\nClient ID: {report.client_id}\nwould go to {where}"
    return f"{events_table(report.events)}\n{summary}"
