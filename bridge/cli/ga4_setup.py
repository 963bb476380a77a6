"""`ga4 setup`: the custom definitions without which the property shows no parameter of any event."""

from __future__ import annotations

import sys
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_installation
from bridge.cli.ga4 import asking, meant, property_option
from bridge.cli.table import table
from bridge.document import Document
from bridge.errors import ExitCode
from bridge.google import admin
from bridge.google.credentials import EDIT_SCOPE
from bridge.google.definitions import Comparison, Kind, compare, needed
from bridge.google.errors import AlreadyThere, NoCredentials
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.app import Installation
    from bridge.google.definitions import Checked, Definition

_SHORTEST: Final = "TWO_MONTHS"
_HEADERS: Final = ("parameter", "register as", "display name", "description", "unit")
_WHEN: Final = "Values show in reports 24 to 48 hours later, and only of events that come after this."


@dataclass(frozen=True, slots=True)
class Seen:
    """A property as it is before anything is created."""

    property_id: str
    comparison: Comparison
    retention: str


class Wanted(Struct, frozen=True):
    """A custom definition that GA4's reports need."""

    kind: Kind
    parameter: str
    display_name: str
    description: str
    unit: str | None
    present: bool | None = None
    differences: tuple[str, ...] = ()


class Property(Struct, frozen=True):
    """A GA4 property and what it needs; without credentials only what any property needs."""

    property: str | None
    definitions: tuple[Wanted, ...]
    free_slots: Mapping[Kind, int] | None = None
    user_data_retention: str | None = None


class Ga4Setup(Document, frozen=True):
    """`ga4 setup`."""

    properties: tuple[Property, ...]


@click.command(name="setup", cls=Command)
@property_option
@click.option("--yes", is_flag=True, help="Create what is missing without asking.")
@format_option("table", "json", document=Ga4Setup)
@click.pass_context
@pass_installation
def command(installation: Installation, ctx: click.Context, named: str | None, form: str, *, yes: bool) -> None:
    """Show which custom dimensions and metrics the property lacks, and create them.

    GA4 shows a parameter of an event only after a custom definition of its name was made. This makes what is missing
    and changes or archives nothing. Without Google credentials it shows what to register by hand (Admin, Custom
    definitions). Exits with 1 when something is still missing.
    """
    try:
        seen = run(_look(installation, named))
    except NoCredentials as error:
        if installation.settings.bridge.google.credentials_file:
            raise
        click.echo(f"mongooseim-bridge: {error}", err=True)
        _by_hand(form)
        return
    short = [one for one in seen if one.comparison.lacking]
    missing = any(one.comparison.missing for one in seen)
    if form == "json":
        echo_json(Ga4Setup(tuple(map(_property, seen))))
    else:
        click.echo("\n\n".join("\n".join(_as_text(one)) for one in seen))
    for one in short:
        few = " and ".join(f"{number} more {kind}s" for kind, number in one.comparison.lacking.items())
        click.echo(
            f"mongooseim-bridge: property {one.property_id} has not enough room, {few} would be needed; "
            "archive what nobody uses at Admin, Custom definitions (that cannot be undone)",
            err=True,
        )
    if missing and not short and (yes or _agreed(seen, form)):
        run(_create(installation, seen))
        missing = False
    ctx.exit(ExitCode.NOT_ALL_DELIVERED if missing else ExitCode.DONE)


async def _look(installation: Installation, named: str | None) -> list[Seen]:
    async with asking(installation) as api:
        await api.sign_in()
        return [
            Seen(one, compare(await admin.definitions(api, one)), await admin.user_data_retention(api, one))
            for one in await meant(installation, api, named)
        ]


async def _create(installation: Installation, seen: Sequence[Seen]) -> None:
    async with installation.sender() as sender:
        api = installation.google_api(sender, EDIT_SCOPE)
        for one in seen:
            for definition in one.comparison.missing:
                try:
                    await admin.create(api, one.property_id, definition)
                except AlreadyThere:
                    continue  # somebody else was faster
                click.echo(f"created in {one.property_id}: {definition.kind} {definition.parameter}", err=True)


def _agreed(seen: Sequence[Seen], form: str) -> bool:
    if form == "json" or not sys.stdin.isatty():
        click.echo("mongooseim-bridge: nothing was created; give --yes to create what is missing", err=True)
        return False
    number = sum(len(one.comparison.missing) for one in seen)
    return click.confirm(f"\nCreate {number} custom definitions?", err=True)


def _by_hand(form: str) -> None:
    if form == "json":
        echo_json(Ga4Setup((Property(None, tuple(map(_wanted, needed()))),)))
    else:
        click.echo(table(_HEADERS, map(_cells, needed())))
        click.echo(f"Register these at Admin, Custom definitions, scope Event. {_WHEN}")


def _cells(one: Definition) -> tuple[str | None, ...]:
    return one.parameter, one.kind, one.display_name, one.description, one.unit


def _as_text(seen: Seen) -> Iterator[str]:
    comparison = seen.comparison
    rows = [(one.wanted.parameter, one.wanted.kind, one.wanted.display_name, _state(one)) for one in comparison.checked]
    yield f"property {seen.property_id}"
    yield table((*_HEADERS[:3], "in the property"), rows)
    left = " and ".join(f"{number} of {kind}s" for kind, number in comparison.left.items())
    yield f"missing: {len(comparison.missing) or 'nothing'}; free slots: {left}"
    if seen.retention == _SHORTEST:
        yield "warning: explorations reach back two months only; choose 14 at Admin, Data retention"
    if comparison.missing:
        yield _WHEN


def _state(one: Checked) -> str:
    return ", ".join(("yes", *one.differences)) if one.present else "missing"


def _wanted(one: Definition, checked: Checked | None = None) -> Wanted:
    known = (checked.present, checked.differences) if checked else ()
    return Wanted(one.kind, one.parameter, one.display_name, one.description, one.unit, *known)


def _property(seen: Seen) -> Property:
    definitions = tuple(_wanted(one.wanted, one) for one in seen.comparison.checked)
    return Property(seen.property_id, definitions, seen.comparison.left, seen.retention)
