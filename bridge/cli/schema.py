"""`schema`: the JSON Schemas of what commands print as JSON."""

from __future__ import annotations

import click
import msgspec

from bridge.cli.command import Command, UsageError, suggestion
from bridge.cli.shapes import DOCUMENTS, json_schema


@click.command(name="schema", cls=Command)
@click.argument("words", nargs=-1, metavar="[COMMAND]")
def command(words: tuple[str, ...]) -> None:
    """Print the JSON Schema of what a command prints with --format json, or of all commands by their names."""
    schemas = {name: json_schema(document) for name, document in DOCUMENTS.items()}
    if (name := " ".join(words)) and name not in schemas:
        remedy = suggestion(name, list(schemas)) or f"those that do are {', '.join(schemas)}"
        raise UsageError(f"no command {name!r} prints JSON", remedy)
    shown = schemas[name] if name else schemas
    click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
