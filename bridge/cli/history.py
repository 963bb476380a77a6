"""`history`: past reports and what became of them; `history show ID`: one of them with its exact events."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bridge.cli.context import AppContext, format_option, pass_app
from bridge.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.delivery.records import DeadLetter, OutcomeRecord, ReportRecord
    from bridge.report.model import Event


@click.group(name="history", invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many, newest first.")
@format_option("table", "json")
@click.pass_context
@pass_app
def command(app: AppContext, ctx: click.Context, limit: int, form: str) -> None:
    """Show past reports and, by destination, what became of their events."""
    if ctx.invoked_subcommand:
        return
    from bridge.delivery.errors import NoStore  # noqa: PLC0415 - `--help` does not need it
    from bridge.delivery.records import reports  # noqa: PLC0415
    from bridge.service.reporting import open_store  # noqa: PLC0415

    found: Sequence[ReportRecord] = ()
    try:
        with open_store(app.settings.bridge, create=False) as store:
            found = reports(store, limit)
    except NoStore:
        click.echo("no report was made yet", err=True)
    if form == "json":
        click.echo(json.dumps([asdict(record) for record in found], indent=2))
    elif found:
        click.echo(_listed(found), nl=False)


@command.command(name="show")
@click.argument("number", metavar="ID", type=click.IntRange(1))
@format_option("table", "json")
@pass_app
def show(app: AppContext, number: int, form: str) -> None:
    """Show one report: its exact events, and each destination's outcome."""
    from bridge.delivery.records import report  # noqa: PLC0415 - `--help` does not need it
    from bridge.service.reporting import open_store  # noqa: PLC0415

    with open_store(app.settings.bridge, create=False) as store:
        found = report(store, number)
    if found is None:
        days = app.settings.bridge.history_days
        raise click.BadParameter(f"there is no report {number}; `history` lists those of the last {days} days")
    record, events, dead = found
    if form == "json":
        listed = [{"name": event.name, "params": dict(event.params)} for event in events]
        whole = {**asdict(record), "dead_letters": [asdict(letter) for letter in dead], "event_list": listed}
        click.echo(json.dumps(whole, indent=2))
    else:
        click.echo("\n".join(_shown(record, events, dead)))


def _listed(found: Sequence[ReportRecord]) -> str:
    from bridge.report.table import table  # noqa: PLC0415 - as above

    rows = [
        (
            record.id,
            moment(record.collected_at),
            len(record.nodes),
            record.events,
            "; ".join(f"{one.destination}: {_told(one)}" for one in record.outcomes) or "JSON log only",
        )
        for record in found
    ]
    return table(("id", "collected", "nodes", "events", "outcome"), rows)


def _shown(record: ReportRecord, events: Sequence[Event], dead: Sequence[DeadLetter]) -> Iterator[str]:
    from bridge.report.table import events_table  # noqa: PLC0415 - as above

    yield f"report {record.id}, collected {moment(record.collected_at)} from {', '.join(record.nodes) or 'no node'}"
    yield f"Client ID: {record.client_id}"
    yield f"JSON log: {'written ' + str(moment(record.published_at)) if record.published_at else 'not written yet'}"
    yield from (f"note: {note}" for note in record.notes)
    for one in record.outcomes:
        error = f" ({one.error})" if one.error else ""
        yield f"{one.destination}: {_told(one)}{error}"
    for letter in dead:
        last = letter.first + letter.events - 1
        yield f"{letter.destination}: events {letter.first} to {last} rejected {moment(letter.at)}: {letter.reason}"
    yield ""
    yield events_table(events).rstrip()


def _told(one: OutcomeRecord) -> str:
    counts = {"delivered": one.delivered, "queued": one.queued, "rejected": one.rejected, "dropped": one.dropped}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to deliver"
