"""`ga4 verify`: whether the property has counted what was delivered."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from bridge.cli.command import Command, UsageError
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.ga4 import asking
from bridge.cli.table import table
from bridge.document import Document
from bridge.errors import ExitCode
from bridge.google.find import find, not_found
from bridge.google.verify import Verdict, Word, sent, verify
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.app import Installation


class Proof(Struct, frozen=True):
    """What a property has counted of what a destination was sent in some time."""

    destination: str
    period: str
    word: Word
    delivered: int
    counted: int
    missing: Mapping[str, int]
    overdue: bool
    why: str
    remedy: str


class Ga4Verify(Document, frozen=True):
    """`ga4 verify`."""

    verdicts: tuple[Proof, ...]


@click.command(name="verify", cls=Command)
@click.option("--days", type=click.IntRange(1, 90), default=3, show_default=True, help="How many days back.")
@format_option("table", "json", document=Ga4Verify)
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, days: int, form: str) -> None:
    """Compare what was delivered, event by event, with what the property has counted, and say what is missing.

    The last 30 minutes show within a minute, older reports within 48 hours. What the state directory knows to be
    delivered is compared, a report as a whole. Exits with 1 when something is missing for longer than that.
    """
    if not installation.targets:
        raise UsageError("there is no destination", "set tracking_id or [[bridge.destinations]]")
    verdicts = run(_verify(installation, days))
    if form == "json":
        echo_json(Ga4Verify(tuple(map(_proof, verdicts))))
    else:
        click.echo("\n".join(_as_text(verdicts)))
    ctx.exit(ExitCode.NOT_ALL_DELIVERED if any(one.overdue for one in verdicts) else ExitCode.DONE)


async def _verify(installation: Installation, days: int) -> list[Verdict]:
    targets, now = installation.targets, datetime.now(UTC)
    with installation.state(look=True) as state:
        reports = {one.id: sent(state, one.id, now - timedelta(days)) for one in targets}
    verdicts: list[Verdict] = []
    async with asking(installation) as api:
        known = installation.settings.bridge.google.property_id
        places = await find(api, [one.measurement_id for one in targets], known)
        for target, place in zip(targets, places, strict=True):
            if place.stream:
                verdicts += await verify(api, target.name, place.stream, reports[target.id], now)
    if lost := [place.measurement_id for place in places if not place.stream]:
        error = not_found(api, lost)
        if not verdicts:
            raise error
        click.echo(f"mongooseim-bridge: {error}", err=True)
    return verdicts


def _as_text(verdicts: Sequence[Verdict]) -> Iterator[str]:
    rows = [(one.destination, one.period, one.delivered, one.counted, one.word) for one in verdicts]
    yield table(("destination", "period", "delivered", "counted", "verdict"), rows).rstrip()
    for one in verdicts:
        if one.word in {Word.PROCESSED, Word.UNKNOWN}:
            continue
        missing = ", ".join(f"{number} {name}" for name, number in (one.missing or {}).items())
        yield f"\n{one.destination}, {one.period}: {one.word}; missing: {missing}"
        yield f"  likely: {one.word.why}"
        yield f"  remedy: {one.word.remedy}"


def _proof(one: Verdict) -> Proof:
    counts = (one.delivered, one.counted, one.missing or {})
    return Proof(one.destination, one.period, one.word, *counts, one.overdue, one.word.why, one.word.remedy)
