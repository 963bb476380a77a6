"""`ga4 find`: which property, stream and account a measurement id belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import astuple

from bridge.cli.command import Command, UsageError
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.ga4 import asking
from bridge.cli.table import table
from bridge.document import Document
from bridge.errors import ExitCode
from bridge.google.find import find, not_found
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.google.find import Place


class Found(Struct, frozen=True):
    """Where a measurement id belongs."""

    measurement_id: str
    property: str | None
    name: str | None
    stream: str | None
    account: str | None


class Ga4Find(Document, frozen=True):
    """`ga4 find`."""

    places: tuple[Found, ...]


@click.command(name="find", cls=Command)
@click.argument("measurement_ids", nargs=-1, metavar="[G-XXXX]...")
@format_option("table", "json", document=Ga4Find)
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, measurement_ids: Sequence[str], form: str) -> None:
    """Find the property, stream and account of measurement ids, those of all destinations unless some are given.

    Looks through every property that the credentials may see. Exits with 1 when one is in none of them.
    """
    wanted = measurement_ids or [one.measurement_id for one in installation.targets]
    if not wanted:
        raise UsageError("there is no destination", "give a measurement id, as G-XXXX")
    places = run(_find(installation, wanted))
    rows = tuple(map(_found, places))
    if form == "json":
        echo_json(Ga4Find(rows))
    else:
        headers = ("measurement id", "property", "name", "stream", "account")
        click.echo(table(headers, map(astuple, rows)), nl=False)
    ctx.exit(ExitCode.DONE if all(place.stream for place in places) else ExitCode.NOT_ALL_DELIVERED)


async def _find(installation: Installation, measurement_ids: Sequence[str]) -> tuple[Place, ...]:
    async with asking(installation) as api:
        places = await find(api, measurement_ids)
    if lost := [place.measurement_id for place in places if not place.stream]:
        click.echo(f"mongooseim-bridge: {not_found(api, lost)}", err=True)
    return places


def _found(place: Place) -> Found:
    owner, stream = place.property, place.stream
    named = (owner.name, owner.account) if owner else (None, None)
    at = (stream.property_id, stream.id) if stream else (None, None)
    return Found(place.measurement_id, at[0], named[0], at[1], named[1])
