"""`deliver`: the half of the service that sends, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.command import Command
from bridge.cli.context import pass_installation
from bridge.cli.run import serve
from bridge.config.roles import Role

if TYPE_CHECKING:
    from bridge.app import Installation


@click.command(name="deliver", cls=Command)
@pass_installation
def command(installation: Installation) -> None:
    """Send what `run --collect-only` queues until stopped; know no cookie.

    Both share the state directory and nothing else. SIGHUP reads the configuration again, SIGTERM and SIGINT stop
    within 10 s.

    Exits with 0 when told to stop, 2 when this process can read the cookie, 4 when reporting is off, 5 when the state
    directory cannot be used, 6 when the health port is taken.
    """
    serve(installation, Role.DELIVER)
