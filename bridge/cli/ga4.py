"""`ga4`: what Google's own APIs say of the property that the reports go to, and setting it up."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from bridge.cli.command import LazyGroup, UsageError
from bridge.cli.progress import Progress
from bridge.google.credentials import READ_SCOPE
from bridge.google.find import property_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bridge.app import Installation
    from bridge.google.api import Api

_Function = TypeVar("_Function", bound="Callable[..., Any]")

COMMANDS: Final = {
    "setup": ("ga4_setup", "Register in the property what the reports show."),
    "verify": ("ga4_verify", "Whether the property has counted what was delivered."),
    "report": ("ga4_report", "Events by module and backend, as the property counts them."),
    "find": ("ga4_find", "Which property and account a measurement id belongs to."),
}
"""Command, its module in bridge.cli, and its line in the overview."""


@click.group(name="ga4", cls=LazyGroup, lazy=COMMANDS)
def command() -> None:
    """Ask Google's own APIs about the property that the reports go to, with the credentials of [bridge.google].

    Exits with 7 where Google cannot be asked: credentials, role, an API that is switched off, quota.
    """


def property_option(function: _Function) -> _Function:
    """`--property` of a command, as its parameter `named`."""
    text = "Number of the property; bridge.google.property_id, or those of all destinations, unless given."
    return click.option("--property", "named", metavar="NUMBER", help=text)(function)


@asynccontextmanager
async def asking(installation: Installation) -> AsyncIterator[Api]:
    """Google's own APIs, to read; on a terminal it shows that they are waited for."""
    async with installation.sender() as sender, Progress(lambda: "Google"):
        yield installation.google_api(sender, READ_SCOPE)


async def meant(installation: Installation, api: Api, named: str | None) -> tuple[str, ...]:
    """The properties that a command is about.

    Raises:
        UsageError: none is named anywhere.
        GoogleError: they cannot be found.
    """
    named = named or installation.settings.bridge.google.property_id
    measurement_ids = [one.measurement_id for one in installation.targets]
    if not named and not measurement_ids:
        raise UsageError(
            "there is no destination, and no property is named", "give --property or bridge.google.property_id"
        )
    return await property_ids(api, named, measurement_ids)
