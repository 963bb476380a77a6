"""`preview`: exactly what would be sent; sends and writes nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.progress import ask_cluster
from bridge.cli.table import events_table
from bridge.config.errors import ConfigError
from bridge.document import Document
from bridge.report.model import Event, Note  # noqa: TC001 - msgspec reads the annotations
from bridge.service.reporting import NO_ID_YET, preview_report
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.app import Installation
    from bridge.report.model import Report


class Preview(Document, frozen=True):
    """`preview`."""

    reporting: bool
    reason: str
    destinations: tuple[str, ...]
    client_id: str | None
    notes: tuple[Note, ...]
    events: tuple[Event, ...]


@click.command(name="preview", cls=Command)
@format_option(
    *("table", "json", "ga4"),
    document=Preview,
    help="A table for people, JSON for scripts, or the bodies of the requests, one a line.",
)
@pass_installation
def command(installation: Installation, form: str) -> None:
    """Show exactly what a report would send now. Sends and writes nothing, and works with reporting off too."""
    report = run(preview_report(partial(ask_cluster, installation), installation))
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    if form == "json":
        known = None if report.client_id == NO_ID_YET else report.client_id
        consent = installation.consent
        destinations = tuple(_destinations(installation)[0].values()) if consent.given else ()
        echo_json(Preview(consent.given, consent.reason, destinations, known, report.notes, report.events))
    elif form == "ga4":
        from bridge.config.destinations import location  # noqa: PLC0415 - 8 ms that no other form needs
        from bridge.delivery.batches import Location, batches  # noqa: PLC0415 - as above

        place = Location(*location(installation.settings.bridge))
        click.echo("\n".join(batch.body.decode() for batch in batches(report, place)))
    else:
        click.echo(_as_table(installation, report))


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
