"""`probes`: the Erlang text that is evaluated in the nodes."""

from __future__ import annotations

import click


@click.command(name="probes")
def command() -> None:
    """Print the Erlang text that is evaluated in each node.

    It is all that is asked. Paste it into a shell of a node (mongooseimctl debug) to see the answers.
    """
    from bridge.mongooseim.probes import text  # noqa: PLC0415 - `--help` does not need it

    click.echo(text(), nl=False)
