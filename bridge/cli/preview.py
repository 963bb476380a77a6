"""`preview`: exactly what would be sent; sends and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from bridge.cli.command import Command
from bridge.cli.context import format_option, pass_installation
from bridge.cli.progress import ask_cluster
from bridge.cli.table import events_table
from bridge.config.destinations import location
from bridge.config.errors import ConfigError
from bridge.delivery.batches import Location, batches
from bridge.service.reporting import build_report
from bridge.threads import run
from bridge.times import system_clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.app import Installation
    from bridge.mongooseim.facts import StanzaTotals
    from bridge.report.model import Report

NO_ID_YET: Final = "(random, made with the first report)"


@click.command(name="preview", cls=Command)
@format_option(
    *("table", "json", "ga4"), help="A table for people, JSON for scripts, or the bodies of the requests, one a line."
)
@pass_installation
def command(installation: Installation, form: str) -> None:
    """Show exactly what a report would send now. Sends and writes nothing, and works with reporting off too."""
    report = run(current_report(installation))
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    if form == "json":
        from bridge.cli.shapes import Preview, echo_json, shaped  # noqa: PLC0415 - 3 ms, of which tables need nothing

        known = None if report.client_id == NO_ID_YET else report.client_id
        consent = installation.consent
        destinations = _destinations(installation)[0].values() if consent.given else ()
        echo_json(
            shaped(
                Preview,
                report,
                reporting=consent.given,
                reason=consent.reason,
                destinations=tuple(destinations),
                client_id=known,
            )
        )
    elif form == "ga4":
        place = Location(*location(installation.settings.bridge))
        click.echo("\n".join(batch.body.decode() for batch in batches(report, place)))
    else:
        click.echo(_as_table(installation, report))


async def current_report(installation: Installation) -> Report:
    """The report as it would be made now; nothing is kept.

    Raises:
        NoNodeAnswered: there is nothing to report.
    """
    facts = await ask_cluster(installation)
    totals, kept = _remembered(installation)
    client_id = facts.cluster_id or kept or NO_ID_YET
    return build_report(facts, totals, client_id, system_clock().wall(), installation.settings)


def _remembered(installation: Installation) -> tuple[StanzaTotals, str | None]:
    """What the last report left, without making anything where there was none."""
    from bridge.state.errors import NoState  # noqa: PLC0415 - SQLite is imported where it is needed

    try:
        with installation.state(look=True) as state:
            return state.stanza_totals(), state.kept_client_id()
    except NoState:
        return {}, None


def _as_table(installation: Installation, report: Report) -> str:
    allowed = installation.consent
    destinations, problem = _destinations(installation)
    where = ", ".join(destinations.values()) or f"nobody: {problem or 'no destination'}"
    if not allowed.given:
        where = f"nobody: {allowed.reason}"
    summary = f"{len(report.events)} events\nClient ID: {report.client_id}\nwould go to {where}"
    return f"{events_table(report.events)}\n{summary}"


def _destinations(installation: Installation) -> tuple[Mapping[str, str], str]:
    """Those of the configuration, and why they cannot be used."""
    try:
        return installation.configured, ""
    except ConfigError as error:
        return {}, str(error)
