"""`fleet`: questions to the events of many installations; `fleet sql`: the text that is run."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from bridge.cli.command import Choice, Group, UsageError
from bridge.cli.context import format_option
from bridge.cli.shapes import SCHEMA_VERSION
from bridge.cli.table import table
from bridge.fleet.page import page
from bridge.fleet.questions import FleetError, questions, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime
    from types import ModuleType

    from bridge.fleet.questions import Answer, Fleet, Question

_BIGQUERY: Final = "bigquery://"
_SOURCE: Final = "Folder of an export (Parquet, JSON lines), of reports or records; or bigquery://PROJECT/DATASET."
_Function = TypeVar("_Function", bound="Callable[..., None]")


class _Group(Group):
    """Its own work is to ask: what is not the name of a subcommand is a question, or an option of the asking."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A subcommand, or the one that asks with all that was given."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["ask", *args])


@click.group(name="fleet", cls=_Group, invoke_without_command=True, context_settings={"ignore_unknown_options": True})
@click.pass_context
def command(ctx: click.Context) -> None:
    """Ask questions of the events of many installations; without a question, list them.

    `fleet QUESTION... --from SOURCE` is short for `fleet ask`.
    """
    if ctx.invoked_subcommand is None:
        click.echo(table(("question", "answers"), [(one.name, one.answers) for one in questions().values()]), nl=False)


def _day(_ctx: click.Context, _option: click.Parameter, value: datetime | None) -> date | None:
    return value.date() if value else None


def _asking(function: _Function) -> _Function:
    """The arguments and options of both subcommands."""
    day = partial(click.option, type=click.DateTime(["%Y-%m-%d"]), callback=_day)
    for option in (
        click.option("--k", type=click.IntRange(1), default=5, show_default=True, help="Hide smaller groups than K."),
        day("--last", help="Last day, UTC; by default as the files have it."),
        day("--first", help="First day, UTC; by default as the files have it."),
        click.option("--from", "source", metavar="SOURCE", default="", help=_SOURCE),
        click.argument("names", metavar="QUESTION...", nargs=-1, type=Choice([*questions(), "all"])),
    ):
        function = option(function)
    return function


@command.command(name="ask")
@_asking
@format_option("table", "json", "csv", "html")
def ask(names: Sequence[str], k: int, form: str, **where: Any) -> None:
    """Answer questions, or `all` of them, from an export or from files of many bridges."""
    asked = _asked(names)
    with closing(_opened(**where)) as fleet:
        answers = [fleet.ask(one, k) for one in asked]
    if fleet.broken:
        click.echo(f"{fleet.broken} lines or files could not be read and are left out", err=True)
    click.echo(_FORMS[form](answers, fleet, k), nl=False)


@command.command(name="sql")
@_asking
@click.option("--dialect", type=Choice(["bigquery", "duckdb"]), default="bigquery", help="Which engine's SQL.")
@click.option("--dry-run", is_flag=True, help="Ask BigQuery how many bytes it would read and bill.")
def sql(names: Sequence[str], k: int, dialect: str, *, dry_run: bool, **where: Any) -> None:
    """Print the statement that answers a question; its parameters are the first and the last day, and k."""
    asked = _asked(names)
    if not dry_run:
        write = _engine("local", "fleet").script if dialect == "duckdb" else statement
        click.echo("\n".join(map(write, asked)), nl=False)
    elif not where["source"].startswith(_BIGQUERY):
        raise UsageError("--dry-run asks BigQuery", "name the export with --from bigquery://PROJECT/DATASET")
    else:
        with closing(_opened(**where)) as fleet:
            for one in asked:
                click.echo(f"{one.name}: {fleet.bytes_billed(one, k):,} bytes")


def _asked(names: Sequence[str]) -> Sequence[Question]:
    if not names:
        raise UsageError("no question is named", "`mongooseim-bridge fleet` lists them; `all` asks every one")
    return list(questions().values()) if "all" in names else [questions()[name] for name in names]


def _opened(source: str, first: date | None, last: date | None) -> Any:
    """The events that are asked about: a `Fleet`, and if they are on BigQuery a `BigQueryFleet`."""
    if not source:
        raise UsageError("--from is missing", "name the folder of an export, or bigquery://PROJECT/DATASET")
    if not source.startswith(_BIGQUERY):
        return _engine("local", "fleet").LocalFleet(Path(source), first, last)
    project, _, dataset = source.removeprefix(_BIGQUERY).partition("/")
    if not (project and dataset):
        raise UsageError(f"{source!r} names no dataset", "write it as bigquery://PROJECT/analytics_123456789")
    return _engine("bigquery", "fleet-bigquery").BigQueryFleet(f"{project}.{dataset}", first, last)


def _engine(module: str, extra: str) -> ModuleType:
    """A module whose libraries are an extra; listing and printing need none of them."""
    try:
        return import_module(f"bridge.fleet.{module}")
    except ImportError as error:
        remedy = f"install the extra: pip install 'mongooseim-bridge[{extra}]'"
        raise FleetError(f"{error.name} cannot be imported", remedy) from error


def _as_table(answers: Sequence[Answer], fleet: Fleet, k: int) -> str:
    parts = [f"{one.question.answers}\n\n{table(one.question.header, one.rows)}" for one in answers]
    return "\n".join([*parts, f"{fleet.first} to {fleet.last}; groups of fewer than {k} installations are not shown\n"])


def _as_json(answers: Sequence[Answer], fleet: Fleet, k: int) -> str:
    named = {
        one.question.name: [dict(zip(one.question.header, row, strict=True)) for row in one.rows] for one in answers
    }
    head = {"schema_version": SCHEMA_VERSION, "first": f"{fleet.first}", "last": f"{fleet.last}", "k": k}
    return json.dumps({**head, "answers": named}, indent=2) + "\n"


def _as_csv(answers: Sequence[Answer], _fleet: Fleet, _k: int) -> str:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    for one in answers:
        lines.writerow(("question", *one.question.header))
        lines.writerows((one.question.name, *row) for row in one.rows)
    return file.getvalue()


_FORMS: Final = {"table": _as_table, "json": _as_json, "csv": _as_csv, "html": page}
