"""`ga4 find`: which property, stream and account a measurement id belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import astuple

from bridge.cli import shapes
from bridge.cli.command import Command, UsageError
from bridge.cli.context import format_option, pass_installation
from bridge.cli.ga4 import waiting
from bridge.cli.shapes import echo_json
from bridge.cli.table import table
from bridge.errors import ExitCode
from bridge.google.credentials import READ_SCOPE
from bridge.google.find import find, not_found
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.app import Installation
    from bridge.google.find import Place


@click.command(name="find", cls=Command)
@click.argument("measurement_ids", nargs=-1, metavar="[G-XXXX]...")
@format_option("table", "json")
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
    rows = [_shape(place) for place in places]
    if form == "json":
        echo_json(shapes.Ga4Find(places=tuple(rows)))
    else:
        headers = ("measurement id", "property", "name", "stream", "account")
        click.echo(table(headers, map(astuple, rows)), nl=False)
    ctx.exit(ExitCode.DONE if all(place.stream for place in places) else ExitCode.NOT_ALL_DELIVERED)


async def _find(installation: Installation, measurement_ids: Sequence[str]) -> tuple[Place, ...]:
    async with installation.sender() as sender, waiting():
        api = installation.google_api(sender, READ_SCOPE)
        places = await find(api, measurement_ids)
    if lost := [place.measurement_id for place in places if not place.stream]:
        click.echo(f"mongooseim-bridge: {not_found(api, lost)}", err=True)
    return places


def _shape(place: Place) -> shapes.Place:
    owner, stream = place.property, place.stream
    return shapes.Place(
        measurement_id=place.measurement_id,
        property=stream.property_id if stream else None,
        name=owner.name if owner else None,
        stream=stream.id if stream else None,
        account=owner.account if owner else None,
    )
