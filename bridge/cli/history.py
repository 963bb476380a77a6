"""`history`: past reports and what became of them; one with its events, the difference of two, one sent again."""

from __future__ import annotations

import csv
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from bridge.cli.command import Group, UsageError
from bridge.cli.context import echo_json, format_option, installation, pass_installation, pass_unread
from bridge.cli.delivery import deliver, delivered_since, in_words
from bridge.cli.table import events_table, table
from bridge.config.consent import require
from bridge.document import Document
from bridge.errors import BridgeError
from bridge.report.difference import Change, difference
from bridge.report.model import Event, Report
from bridge.state.queue import AGE_SECONDS, Target
from bridge.state.status import DeadLetter, ReportStatus  # noqa: TC001 - msgspec reads the annotations
from bridge.threads import run
from bridge.times import MICROSECONDS, distance, moment, parse_moment, system_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.app import Installation
    from bridge.cli.delivery import Delivered
    from bridge.delivery.destination import Destination
    from bridge.state.queue import Batch
    from bridge.state.state import State
    from bridge.state.status import Delivery

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_EVER: Final = 2**63 - 1
_CSV: Final = "id collected client_id nodes events destination delivered queued rejected dropped error".split()
_COMPLETIONS: Final = 100
"""Reports that a shell is offered."""


class History(Document, frozen=True):
    """`history`."""

    reports: tuple[ReportStatus, ...]


class PastReport(Document, frozen=True):
    """`history show`."""

    report: ReportStatus
    events: tuple[Event, ...]
    dead_letters: tuple[DeadLetter, ...]


class ReportDifference(Document, frozen=True):
    """`history diff`."""

    before: int
    after: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    changes: tuple[Change, ...]


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


def _time(value: str) -> int:
    """A time that somebody typed, in microseconds since 1970: UTC unless it says otherwise, or how long ago."""
    try:
        return parse_moment(value, system_clock().wall())
    except ValueError:
        remedy = "write 2026-01-31, 2026-01-31T12:00:00Z, or how long ago as in 3d, 12h or 30min"
        raise UsageError(f"{value!r} is no time", remedy) from None


@click.group(name="history", cls=Group, invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many, newest first.")
@click.option("--since", type=_time, metavar="TIME", help="Collected at this time or later: a date, 3d, 12h.")
@click.option("--until", type=_time, metavar="TIME", help="Collected before this time.")
@format_option("table", "json", "csv", document=History)
@click.pass_context
@pass_unread
def command(
    installation: Installation, ctx: click.Context, *, limit: int, since: int | None, until: int | None, form: str
) -> None:
    """Show past reports and, by destination, what became of their events.

    Times are in UTC unless they say otherwise.
    """
    if ctx.invoked_subcommand:
        return
    installation.set_up_log()
    with installation.state(look=True) as state:
        found = state.reports(limit, since or 0, _EVER if until is None else until)
    if form == "json":
        echo_json(History(found))
    elif form == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([_CSV, *_rows(found)])
    elif found:
        click.echo(_listed(found), nl=False)
    else:
        click.echo("no report was made yet", err=True)


@command.command(name="show")
@_report_argument("number")
@format_option("table", "json", document=PastReport)
@pass_installation
def show(installation: Installation, number: int, form: str) -> None:
    """Show one report: its exact events, and each destination's outcome."""
    with installation.state(look=True) as state:
        record, events, dead = _report(installation, state, number)
    if form == "json":
        echo_json(PastReport(record, events, dead))
    else:
        click.echo("\n".join(_shown(record, events, dead)))


@command.command(name="diff")
@_report_argument("earlier", "A")
@_report_argument("later", "B")
@format_option("table", "json", document=ReportDifference)
@pass_installation
def diff(installation: Installation, earlier: int, later: int, form: str) -> None:
    """Show what changed from report A to report B: nodes, modules and their backends, counts."""
    with installation.state(look=True) as state:
        (old, before, _), (new, after, _) = (_report(installation, state, number) for number in (earlier, later))
    changes = difference(before, after)
    joined, left = (tuple(sorted(set(one.nodes) - set(other.nodes))) for one, other in ((new, old), (old, new)))
    if form == "json":
        echo_json(ReportDifference(old.id, new.id, joined, left, changes))
        return
    for what, names in (("joined", joined), ("left", left)):
        if names:
            click.echo(f"{what}: {', '.join(names)}")
    headers = ("event", "of", f"report {old.id}", f"report {new.id}")
    rows = [(one.event, one.subject, "; ".join(one.before), "; ".join(one.after)) for one in changes]
    click.echo(table(headers, rows) if rows else "no event differs", nl=not rows)


@command.command(name="resend")
@_report_argument("number")
@click.pass_context
@pass_installation
def resend(installation: Installation, ctx: click.Context, number: int) -> None:
    """Send the events of a report again that a destination refused or that were given up.

    They go back to the queue, and what is queued is delivered as by `report`. GA4 takes events for 72 hours. Those that
    were given up after a time-out may have been counted, and are then counted twice. Exits with 1 when something is not
    delivered.
    """
    require(installation.consent)
    rows = run(_resend(installation, number))
    click.echo("\n".join(map(str, rows)))
    ctx.exit(any(row.left for row in rows))


async def _resend(installation: Installation, number: int) -> Sequence[Delivered]:
    with installation.state() as state:
        async with installation.sender() as sender:
            record, events, dead = _report(installation, state, number)
            if state.clock.wall() - record.collected_at >= AGE_SECONDS * MICROSECONDS:
                collected = distance(record.collected_at, state.clock.wall())
                raise UsageError(f"report {number} was collected {collected}: GA4 takes events for 72 hours")
            targets = [
                Target(one.id, one.name, tuple(_again(one, record, events, dead))) for one in installation.destinations
            ]
            if not any(target.batches for target in targets):
                raise UsageError(
                    f"of report {number} nothing was refused or given up by a destination that is configured"
                )
            before = state.status(0).destinations
            state.resend(number, targets)
            await deliver(installation, state, sender)
        return delivered_since(before, installation, state)


def _again(
    destination: Destination, record: ReportStatus, events: tuple[Event, ...], dead: Sequence[DeadLetter]
) -> Iterator[Batch]:
    """The batches of just the events that dead letters of a destination name, each with its place in the report."""
    for letter in dead:
        if letter.id == destination.id:
            named = events[letter.first : letter.first + letter.events]
            for batch in destination.batches(Report(record.client_id, record.collected_at, named, {})):
                yield replace(batch, first=letter.first + batch.first)


def _report(
    installation: Installation, state: State, number: int
) -> tuple[ReportStatus, tuple[Event, ...], tuple[DeadLetter, ...]]:
    found = state.report(number)
    if found is None:
        days = installation.settings.bridge.history_days
        where = installation.settings.bridge.state_dir
        raise UsageError(f"there is no report {number} in {where}", f"`history` lists those of the last {days} days")
    return found


def _rows(found: Sequence[ReportStatus]) -> Iterator[tuple[object, ...]]:
    """A row for each report and destination."""
    for one in found:
        head = (one.id, moment(one.collected_at), one.client_id, len(one.nodes), one.events)
        for each in one.deliveries:
            yield *head, each.destination, each.delivered, each.queued, each.rejected, each.dropped, each.error
        if not one.deliveries:
            yield *head, *[None] * (len(_CSV) - len(head))


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
        yield f"{letter.destination}: events {letter.first} to {last} not taken, {moment(letter.at)}: {letter.reason}"
    yield ""
    yield events_table(events).rstrip()


def _told(one: Delivery) -> str:
    return f"{in_words(one)}, {one.processing}" if one.processing else in_words(one)
