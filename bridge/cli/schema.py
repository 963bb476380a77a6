"""`schema`: the JSON Schemas of what commands print as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from bridge.cli.command import Command, UsageError, suggestion
from bridge.cli.context import FormatOption
from bridge.document import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.document import Document


@click.command(name="schema", cls=Command)
@click.argument("words", nargs=-1, metavar="[COMMAND]")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Print the JSON Schema of what a command prints with --format json, or of all commands by their names."""
    schemas = {name: json_schema(document) for name, document in documents(ctx.find_root().command)}
    if (name := " ".join(words)) and name not in schemas:
        remedy = suggestion(name, list(schemas)) or f"those that do are {', '.join(schemas)}"
        raise UsageError(f"no command {name!r} prints JSON", remedy)
    shown = schemas[name] if name else schemas
    click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


def documents(command: click.Command, *path: str) -> Iterator[tuple[str, type[Document]]]:
    """What a command and those within it print as JSON, by their names."""
    for option in command.params:
        if isinstance(option, FormatOption) and option.document:
            yield " ".join(path), option.document
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if within := command.get_command(context, name):
                yield from documents(within, *path, name)
