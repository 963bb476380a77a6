"""The man page, made from the commands as click knows them: `python -m bridge.cli.man > mongooseim-bridge.1`."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Final

import click

from bridge import __version__
from bridge.cli.command import GLOBAL_OPTIONS
from bridge.cli.main import NAME, cli

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FILES: Final = {
    "/etc/mongooseim-bridge/config.toml": "The configuration, unless --config names another.",
    "/var/lib/mongooseim-bridge/bridge.sqlite3": "Queue, history and Client ID (bridge.state_dir).",
    "/var/log/mongooseim/system_metrics_report.json": "The most recent report (bridge.log_dir).",
    "~/.erlang.cookie": "The cluster's cookie, where nothing else names one.",
}
_ENVIRONMENT: Final = {
    "MONGOOSEIM_BRIDGE_…": "Every key of the configuration; `config show` lists each with its variable.",
    "DO_NOT_TRACK": "Anything but empty, 0 or false switches reporting off.",
    "HTTPS_PROXY, NO_PROXY": "The way to the destinations, unless bridge.proxy is set.",
    "ERL_EPMD_PORT": "The port of EPMD.",
}
_EXIT_STATUS: Final = {
    "0": "Done.",
    "1": "Collected but not all delivered; the rest is queued.",
    "2": "Usage or configuration.",
    "3": "No node could be asked.",
    "4": "Reporting is switched off.",
    "5": "The state or log directory cannot be used, or another service reports from it.",
    "6": "The health listener or the emulator cannot listen there.",
    "7": "Google's own APIs cannot be asked.",
}


def page() -> str:
    """The whole page as roff, for man(1); the same for the same release."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    context = click.Context(cli, info_name=NAME, **cli.context_settings)
    yield f'.TH MONGOOSEIM\\-BRIDGE 1 "" "{NAME} {__version__}" "User Commands"'
    summary, *description = _paragraphs(cli)
    yield from (".SH NAME", f"{_text(NAME)} \\- {_text(summary)}")
    yield from (".SH SYNOPSIS", f".B {_text(NAME)}", r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]")
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(description):
        yield from ([".PP"] if number else []) + [_text(paragraph)]
    yield ".SH OPTIONS"
    yield from _entries(option.record(context) for option in GLOBAL_OPTIONS)
    yield from _options(context)
    yield ".SH COMMANDS"
    yield from _commands(context)
    for title, entries in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES), ("EXIT STATUS", _EXIT_STATUS)):
        yield f".SH {title}"
        yield from _entries(entries.items())


def _commands(parent: click.Context) -> Iterator[str]:
    group = parent.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, parent=parent, info_name=name)
        path = context.command_path.removeprefix(f"{NAME} ")
        usage = " ".join(command.collect_usage_pieces(context))
        yield from (f".SS {_text(path)}", f".B {_text(path)}", _text(usage), ".PP")
        for number, paragraph in enumerate(_paragraphs(command)):
            yield from ([".PP"] if number else []) + [_text(paragraph)]
        yield from _options(context)
        if isinstance(command, click.Group):
            yield from _commands(context)


def _options(context: click.Context) -> Iterator[str]:
    records = (option.get_help_record(context) for option in context.command.params)
    yield from _entries(record for record in records if record)


def _entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in entries:
        yield from (".TP", f".B {_text(term)}", _text(meaning))


def _paragraphs(command: click.Command) -> list[str]:
    """A command's help, each paragraph as one line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n")]


def _text(text: str) -> str:
    """Text as roff takes it: its own characters escaped, and no line that begins as a request does."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")
    return f"\\&{escaped}" if escaped[:1] in {".", "'"} else escaped


if __name__ == "__main__":
    sys.stdout.write(page())
