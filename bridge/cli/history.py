"""`history`: past reports and what became of them; `history show ID`: one of them with its exact events."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from bridge.cli.command import Group
from bridge.cli.context import format_option, installation, pass_installation, pass_unread
from bridge.cli.shapes import History, PastReport, echo_json, shaped
from bridge.cli.table import events_table, table
from bridge.errors import BridgeError
from bridge.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.app import Installation
    from bridge.report.model import Event
    from bridge.state.status import DeadLetter, Delivery, ReportStatus

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_COMPLETIONS: Final = 100
"""Reports that a shell is offered."""


def _ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The reports that a shell can complete an id to, with their times."""
    with suppress(BridgeError), installation(ctx).state(look=True) as state:
        reports = state.status(_COMPLETIONS).reports
        return [
            CompletionItem(str(one.id), help=moment(one.collected_at))
            for one in reports
            if str(one.id).startswith(incomplete)
        ]
    return []


def _report_argument(name: str, metavar: str = "ID") -> Callable[[_Function], _Function]:
    return click.argument(name, metavar=metavar, type=click.IntRange(1, 2**63 - 1), shell_complete=_ids)


@click.group(name="history", cls=Group, invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many, newest first.")
@format_option("table", "json")
@click.pass_context
@pass_unread
def command(installation: Installation, ctx: click.Context, limit: int, form: str) -> None:
    """Show past reports and, by destination, what became of their events."""
    if ctx.invoked_subcommand:
        return
    installation.set_up_log()
    with installation.state(look=True) as state:
        found = state.status(limit).reports
    if form == "json":
        echo_json(shaped(History, reports=found))
    elif found:
        click.echo(_listed(found), nl=False)
    else:
        click.echo("no report was made yet", err=True)


@command.command(name="show")
@_report_argument("number")
@format_option("table", "json")
@pass_installation
def show(installation: Installation, number: int, form: str) -> None:
    """Show one report: its exact events, and each destination's outcome."""
    with installation.state(look=True) as state:
        found = state.report(number)
    if found is None:
        bridge = installation.settings.bridge
        there = f"`history` lists those of the last {bridge.history_days} days"
        raise click.BadParameter(f"there is no report {number} in {bridge.state_dir}; {there}")
    record, events, dead = found
    if form == "json":
        echo_json(shaped(PastReport, report=record, events=events, dead_letters=dead))
    else:
        click.echo("\n".join(_shown(record, events, dead)))


def _listed(found: Sequence[ReportStatus]) -> str:

    rows = [
        (
            record.id,
            moment(record.collected_at),
            len(record.nodes),
            record.events,
            "; ".join(f"{one.destination}: {_told(one)}" for one in record.deliveries) or "JSON log only",
        )
        for record in found
    ]
    return table(("id", "collected", "nodes", "events", "outcome"), rows)


def _shown(record: ReportStatus, events: Sequence[Event], dead: Sequence[DeadLetter]) -> Iterator[str]:

    yield f"report {record.id}, collected {moment(record.collected_at)} from {', '.join(record.nodes) or 'no node'}"
    yield f"Client ID: {record.client_id}"
    yield f"JSON log: {'written ' + moment(record.published_at) if record.published_at else 'not written yet'}"
    yield from (f"note: {note}" for note in record.notes)
    for one in record.deliveries:
        error = f" ({one.error})" if one.error else ""
        yield f"{one.destination}: {_told(one)}{error}"
    for letter in dead:
        last = letter.first + letter.events - 1
        yield f"{letter.destination}: events {letter.first} to {last} rejected {moment(letter.at)}: {letter.reason}"
    yield ""
    yield events_table(events).rstrip()


def _told(one: Delivery) -> str:
    counts = {"delivered": one.delivered, "queued": one.queued, "rejected": one.rejected, "dropped": one.dropped}
    told = [f"{count} {what}" for what, count in counts.items() if count] or ["nothing to deliver"]
    return ", ".join([*told, *([str(one.processing)] if one.processing else [])])
