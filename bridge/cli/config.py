"""`config`: a commented example, all problems at once, the effective settings, a schema for editors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from bridge.cli.command import Group
from bridge.cli.context import echo_json, format_option, pass_installation, pass_unread
from bridge.cli.table import table
from bridge.config.describe import effective, example, json_schema, toml
from bridge.config.errors import ConfigError, Problem, Problems
from bridge.config.keys import DO_NOT_TRACK
from bridge.delivery.errors import DestinationError
from bridge.document import Document
from bridge.secret import MASK

if TYPE_CHECKING:
    from bridge.app import Installation


class ConfigCheck(Document, frozen=True):
    """`config check`."""

    problems: tuple[Problem, ...]


class Setting(Struct, frozen=True):
    """A setting as it is used."""

    key: str
    value: bool | int | str | tuple[str, ...] | None
    origin: str
    variable: str


class ConfigShow(Document, frozen=True):
    """`config show`."""

    reporting: bool
    reason: str
    settings: tuple[Setting, ...]


@click.group(name="config", cls=Group)
def command() -> None:
    """Write an example, check or show the configuration."""


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), required=False)
def init(file: Path | None) -> None:
    """Write a commented example with every key to FILE, or to standard output (-).

    A file that exists is left alone. The new one is readable by its owner only: it may come to hold a secret.
    """
    if file in (None, Path("-")):
        click.echo(example(), nl=False)
        return
    try:
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(example(), encoding="utf-8")
    except FileExistsError:
        raise ConfigError([Problem(str(file), "", "exists already", "name another file, or remove it first")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(file), "", f"cannot be written: {error.strerror}")]) from error
    click.echo(f"wrote {file}; edit it, then run: mongooseim-bridge config check --config {file}")


@command.command()
@format_option("text", "json", document=ConfigCheck)
@pass_unread
def check(installation: Installation, form: str) -> None:
    """Tell every problem of the configuration at once, each with file, line and key, and whether reports are made.

    Files that it names are looked at (cookie, secrets, TLS), nodes and endpoints are not; `doctor` does that.
    """
    problems = _problems(installation)
    if form == "json":
        echo_json(ConfigCheck(tuple(problems)))
    if problems:
        raise ConfigError(problems)
    if form == "text":
        named = ", ".join(destination.name for destination in installation.destinations)
        click.echo(f"{installation.loaded.file or 'no file, defaults and environment'}: no problems")
        click.echo(
            f"enters the cluster at {', '.join(map(str, installation.access.entries))}; reports to {named or 'nobody'}"
        )
        click.echo(f"reporting is {installation.consent}")


def _problems(installation: Installation) -> Problems:
    """Of the file first: what the settings mean can be looked at only when they can be read."""
    problems = Problems()
    problems.attempt(installation.set_up_log)
    if problems:
        return problems
    problems.attempt(lambda: installation.access)
    try:
        problems.attempt(installation.sender)
    except DestinationError as error:
        problems.append(Problem("", "", error.what, error.remedy))
    return problems


@command.command()
@format_option("table", "json", document=ConfigShow)
@pass_installation
def show(installation: Installation, form: str) -> None:
    """Show every setting with its effective value, where it came from, and its variable; secrets are masked.

    What is found out from vm.args, and the service's own name, are shown as they are used. The first row says whether
    reports are made, and why.
    """
    consent = installation.consent
    try:
        access = installation.access
    except ConfigError as error:
        access = None
        click.echo(f"mongooseim-bridge: the cluster cannot be entered: {error}", err=True)
    rows = effective(installation.loaded, access)
    if form == "json":
        settings = tuple(Setting(*row) for row in rows)  # type: ignore[arg-type] # each is what a setting may be
        echo_json(ConfigShow(consent.given, consent.reason, settings))
    else:
        reporting = ("(reporting)", "on" if consent.given else "off", consent.reason, DO_NOT_TRACK)
        listed = [(key, _as_toml(value), origin, name) for key, value, origin, name in rows]
        click.echo(table(("key", "value", "from", "variable"), [reporting, *listed]), nl=False)


def _as_toml(value: object) -> str:
    return "" if value is None else MASK if value == MASK else toml(value)


@command.command()
def schema() -> None:
    """Print a JSON schema of the configuration file, for editors that check TOML against one."""
    click.echo(json_schema().decode(), nl=False)
