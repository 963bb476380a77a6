"""`validate`: GA4's validator judges the current report; its messages are mapped back to the events."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct
from msgspec.structs import replace

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.progress import Progress, ask_cluster
from bridge.cli.table import table
from bridge.config.consent import require
from bridge.delivery.errors import DestinationError, SendError
from bridge.document import Document
from bridge.service.reporting import NO_ID_YET, preview_report
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.delivery.destination import Destination
    from bridge.delivery.sender import Sender
    from bridge.report.model import Report

_ANY_CLIENT_ID: Final = "1.1"
"""Stands in for the random Client ID before the first report has made it."""


class Objection(Struct, frozen=True):
    """An objection of the validator's, with the name of the event that it is about."""

    event: int | None
    name: str | None
    field: str
    code: str
    description: str
    drops: bool
    """Whether GA4 would drop something for this; any Client ID is taken."""

    def __str__(self) -> str:
        return (self.field or "request") if self.event is None else f"event {self.event} {self.name}"


class Judged(Struct, frozen=True):
    """What the validator behind a destination said; `error` where it could not be asked."""

    destination: str
    requests: int
    error: str | None
    messages: tuple[Objection, ...]


class Validation(Document, frozen=True):
    """`validate`."""

    destinations: tuple[Judged, ...]


@click.command(name="validate", cls=Command)
@format_option("table", "json", document=Validation)
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, form: str) -> None:
    """Send the current report to GA4's validator (/debug/mp/collect), which records nothing, and show its messages.

    Every recommendation is enforced: it also objects to a Client ID that is not of the form <number>.<number>, as the
    persistent id of a cluster, which GA4 takes all the same. The measurement id and the API secret are not checked.
    Exits with 1 when there is any other objection, or the validator cannot be asked.
    """
    require(installation.consent)
    if not installation.destinations:
        raise click.UsageError("there is no destination to validate for; set tracking_id or [[bridge.destinations]]")
    events, judged = run(_validate(installation))
    if form == "json":
        echo_json(Validation(judged))
    else:
        click.echo(_as_text(events, judged))
    ctx.exit(any(one.error or any(message.drops for message in one.messages) for one in judged))


async def _validate(installation: Installation) -> tuple[int, tuple[Judged, ...]]:
    """How many events there are, and what each validator says of them."""
    report = await preview_report(partial(ask_cluster, installation), installation)
    if report.client_id == NO_ID_YET:
        report = replace(report, client_id=_ANY_CLIENT_ID)
    async with installation.sender() as sender, Progress(lambda: "the validator"):
        judged = [await _judge(sender, destination, report) for destination in installation.destinations]
    return len(report.events), tuple(judged)


async def _judge(sender: Sender, destination: Destination, report: Report) -> Judged:
    said: list[Objection] = []
    error = None
    batches, at = destination.batches(report), report.collected_at
    try:
        for batch in batches:
            for one in await destination.validate(batch, sender, collected_at=at, seconds=sender.total_seconds):
                name = None if one.event is None else report.events[one.event].name
                said.append(Objection(one.event, name, one.field, one.code, one.description, one.drops))
    except (DestinationError, SendError) as reason:
        error = str(reason)
    return Judged(destination.name, len(batches), error, tuple(said))


def _as_text(events: int, judged: Sequence[Judged]) -> str:
    lines = []
    for one in judged:
        told = f"{len(one.messages)} objections" if one.messages else "no objection"
        lines.append(f"{one.destination}: {one.error or f'{told} to {events} events'}")
    # What every request has in common is objected to in every request.
    times = Counter(
        (one.destination, str(message), message.code, message.description) for one in judged for message in one.messages
    )
    if times:
        headers = ("destination", "about", "code", "message", "times")
        lines += ["", table(headers, [(*row, count) for row, count in times.items()]).rstrip()]
    return "\n".join(lines)
