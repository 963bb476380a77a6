"""`ga4 report`: the sample report of the privacy policy, from the operator's own property."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct
from msgspec.structs import astuple

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.ga4 import asking, meant, property_option
from bridge.cli.table import table
from bridge.document import Document
from bridge.google.data import counted
from bridge.google.errors import BadRequest, GoogleError
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.app import Installation
    from bridge.google.data import Counts

_PARAMETERS: Final = ("module", "backend")
_NOT_SET: Final = "(not set)"


class ModuleCount(Struct, frozen=True):
    """Events of a module with a backend."""

    property: str
    module: str
    backend: str
    events: int


class Caveat(Struct, frozen=True):
    """What has to be known about the numbers of a property."""

    property: str
    caveat: str


class Ga4Report(Document, frozen=True):
    """`ga4 report`."""

    rows: tuple[ModuleCount, ...]
    caveats: tuple[Caveat, ...]


@click.command(name="report", cls=Command)
@property_option
@click.option("--days", type=click.IntRange(1, 1000), default=28, show_default=True, help="How many days, up to today.")
@format_option("table", "json", "csv", document=Ga4Report)
@pass_installation
def command(installation: Installation, named: str | None, days: int, form: str) -> None:
    """Show the events by module and backend, as the property counts them, the most frequent first.

    Each report has an event per module and host type. Google's caveats follow on stderr.
    """
    found = run(_ask(installation, named, days))
    rows = [
        ModuleCount(property_id, module, backend, events)
        for property_id, counts in found.items()
        for (module, backend), events in sorted(counts.by.items(), key=lambda row: (-row[1], row[0]))
    ]
    caveats = [Caveat(property_id, caveat) for property_id, counts in found.items() for caveat in _caveats(counts)]
    if form == "json":
        echo_json(Ga4Report(tuple(rows), tuple(caveats)))
        return
    headers = ModuleCount.__struct_fields__
    if form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows((headers, *map(astuple, rows)))
        click.echo(text.getvalue(), nl=False)
    else:
        click.echo(table(headers, map(astuple, rows)), nl=False)
    for one in caveats:
        click.echo(f"{one.property}: {one.caveat}", err=True)


async def _ask(installation: Installation, named: str | None, days: int) -> Mapping[str, Counts]:
    dimensions = [f"customEvent:{name}" for name in _PARAMETERS]
    async with asking(installation) as api:
        found: dict[str, Counts] = {}
        for property_id in await meant(installation, api, named):
            try:
                found[property_id] = await counted(
                    api, property_id, dimensions, days=days, only={"eventName": "module_with_opt"}
                )
            except BadRequest as error:
                if "customEvent:" not in error.what:  # the name that it does not know
                    raise
                what = f"property {property_id} has no custom definitions for the parameters of modules"
                raise GoogleError(what, "run: mongooseim-bridge ga4 setup") from error
        return found


def _caveats(counts: Counts) -> Iterator[str]:
    yield from counts.caveats
    if not counts.by:
        yield "nothing is processed yet; events take up to 48 hours, `ga4 verify` says what has arrived"
        return
    if any(values[0] == _NOT_SET for values in counts.by):
        yield f"{_NOT_SET} as a module: events that came before `ga4 setup` made the definitions"
    yield "the numbers of the last 48 hours may still grow"
