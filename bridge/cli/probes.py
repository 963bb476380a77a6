"""`probes`: the Erlang text that is evaluated in the nodes."""

from __future__ import annotations

import click

from bridge.cli.command import Command
from bridge.mongooseim.probes import text


@click.command(name="probes", cls=Command)
def command() -> None:
    """Print the Erlang text that is evaluated in each node.

    It is all that is asked. Paste it into a shell of a node (mongooseimctl debug) to see the answers.
    """
    click.echo(text(), nl=False)
