"""`validate`: GA4's validator judges the current report; its messages are mapped back to the events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from msgspec.structs import replace

from bridge.cli import shapes
from bridge.cli.command import Command
from bridge.cli.context import format_option, pass_installation
from bridge.cli.progress import Progress, ask_cluster
from bridge.cli.shapes import Objection, Validation, echo_json, shaped
from bridge.cli.table import table
from bridge.config.consent import require
from bridge.delivery.errors import DestinationError, SendError
from bridge.errors import ExitCode
from bridge.service.reporting import NO_ID_YET, preview_report
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.delivery.destination import Destination
    from bridge.delivery.sender import Sender
    from bridge.delivery.validation import Objection as Message
    from bridge.report.model import Report

OBJECTIONS: Final = 1
_ANY_CLIENT_ID: Final = "1.1"
"""Stands in for the random Client ID before the first report has made it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the validator behind one destination said; `error` where it said nothing."""

    destination: str
    requests: int
    messages: tuple[Message, ...]
    error: str | None = None

    @property
    def dropped(self) -> int:
        """Objections about what GA4 would drop; any Client ID is taken."""
        return sum(message.drops for message in self.messages)


@click.command(name="validate", cls=Command)
@format_option("table", "json")
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
    report, judged = run(_validate(installation))
    if form == "json":
        echo_json(_shaped(report, judged))
    else:
        click.echo(_as_text(report, judged))
    ctx.exit(OBJECTIONS if any(one.error or one.dropped for one in judged) else ExitCode.DONE)


async def _validate(installation: Installation) -> tuple[Report, list[Judged]]:

    report = await preview_report(partial(ask_cluster, installation), installation)
    if report.client_id == NO_ID_YET:
        report = replace(report, client_id=_ANY_CLIENT_ID)
    async with installation.sender() as sender, Progress(lambda: "the validator"):
        return report, [await _judge(sender, destination, report) for destination in installation.destinations]


async def _judge(sender: Sender, destination: Destination, report: Report) -> Judged:

    found: list[Message] = []
    batches = destination.batches(report)
    try:
        for batch in batches:
            found += await destination.validate(
                batch, sender, collected_at=report.collected_at, seconds=sender.total_seconds
            )
    except (DestinationError, SendError) as error:
        return Judged(destination.name, len(batches), tuple(found), str(error))
    return Judged(destination.name, len(batches), tuple(found))


def _shaped(report: Report, judged: Sequence[Judged]) -> Validation:
    return shaped(
        Validation,
        destinations=[
            shaped(
                shapes.Judged,
                one,
                messages=[
                    shaped(
                        Objection, message, name=None if message.event is None else report.events[message.event].name
                    )
                    for message in one.messages
                ],
            )
            for one in judged
        ],
    )


def _as_text(report: Report, judged: Sequence[Judged]) -> str:

    lines = []
    for one in judged:
        told = f"{len(one.messages)} objections" if one.messages else "no objection"
        lines.append(f"{one.destination}: {one.error or f'{told} to {len(report.events)} events'}")
    # What every request has in common is objected to in every request.
    times = Counter(
        (one.destination, _place(report, message), message.code, message.description)
        for one in judged
        for message in one.messages
    )
    if times:
        headers = ("destination", "about", "code", "message", "times")
        lines += ["", table(headers, [(*row, count) for row, count in times.items()]).rstrip()]
    return "\n".join(lines)


def _place(report: Report, message: Message) -> str:
    if message.event is None:
        return message.field or "request"
    return f"event {message.event} {report.events[message.event].name}"
