"""`fleet`: questions to the events of many installations, or the SQL that asks them."""

from __future__ import annotations

import csv
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from bridge.cli.command import Choice, Command, UsageError
from bridge.cli.context import echo_json, format_option
from bridge.cli.table import table
from bridge.fleet.page import page
from bridge.fleet.questions import Answers, FleetError, questions, statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bridge.fleet.questions import Question

_BIGQUERY: Final = "bigquery://"
_SOURCE: Final = "Folder of an export (Parquet, JSON lines), of reports or records; or bigquery://PROJECT/DATASET."
_DAY: Final = click.DateTime(["%Y-%m-%d"])


@click.command(name="fleet", cls=Command)
@click.argument("question", metavar="[sql] QUESTION...", nargs=-1, type=Choice(["sql", "all", *questions()]))
@click.option("--from", "source", metavar="SOURCE", default="", help=_SOURCE)
@click.option("--first", metavar="DAY", type=_DAY, help="First day, UTC; by default as the files have it.")
@click.option("--last", metavar="DAY", type=_DAY, help="Last day, UTC; by default as the files have it.")
@click.option("--k", type=click.IntRange(1), default=5, show_default=True, help="Hide smaller groups than K.")
@format_option("table", "json", "csv", "html", document=Answers)
@click.option("--dialect", type=Choice(["bigquery", "duckdb"]), default="bigquery", help="Which engine's SQL is shown.")
@click.option("--dry-run", is_flag=True, help="Ask BigQuery how many bytes it would read and bill.")
def command(question: Sequence[str], source: str, form: str, dialect: str, *, dry_run: bool, **which: Any) -> None:
    """Ask questions, or `all` of them, of the events of many installations; without a question, list them.

    With `sql` before the questions, print the statements that ask them; their parameters are the days and k.
    """
    known = questions()
    if not question:
        click.echo(table(("question", "answers"), [(one.name, one.answers) for one in known.values()]), nl=False)
        return
    asked = [known[word] for word in question if word in known] or list(known.values())
    if dry_run:
        for name, rows in _ask(asked, source, dry_run=True, **which).answers.items():
            click.echo(f"{name}: {rows[0]['bytes']:,} bytes")
    elif "sql" in question:
        write = _engine("local", "fleet").script if dialect == "duckdb" else statement
        click.echo("\n".join(map(write, asked)), nl=False)
    else:
        answers = _ask(asked, source, **which)
        if answers.unreadable:
            click.echo(f"{answers.unreadable} lines or files could not be read and are left out", err=True)
        _show(answers, form)


def _ask(
    asked: Sequence[Question], source: str, k: int, first: datetime | None, last: datetime | None, **how: bool
) -> Answers:
    days = (first and first.date(), last and last.date())
    if source.startswith(_BIGQUERY):
        ask, where = _engine("bigquery", "fleet-bigquery").ask, source.removeprefix(_BIGQUERY).replace("/", ".", 1)
    elif how:
        raise UsageError("--dry-run asks BigQuery", "name the export with --from bigquery://PROJECT/DATASET")
    elif source:
        ask, where = _engine("local", "fleet").ask, source
    else:
        raise UsageError("--from is missing", "name the folder of an export, or bigquery://PROJECT/DATASET")
    answers: Answers = ask(where, asked, k, *days, **how)
    return answers


def _engine(module: str, extra: str) -> Any:
    """A module whose libraries are an extra; listing and printing need none of them."""
    try:
        return import_module(f"bridge.fleet.{module}")
    except ImportError as error:
        raise FleetError(f"{error.name} is not installed", f"run: pip install 'mongooseim-bridge[{extra}]'") from error


def _show(answers: Answers, form: str) -> None:
    match form:
        case "json":
            echo_json(answers)
        case "csv":
            lines = csv.writer(sys.stdout, lineterminator="\n")
            for name, rows in answers.answers.items():
                lines.writerows([("question", *questions()[name].header), *((name, *row.values()) for row in rows)])
        case "html":
            click.echo(page(answers), nl=False)
        case _:
            for name, rows in answers.answers.items():
                one = questions()[name]
                click.echo(f"{one.answers}\n\n{table(one.header, [[*row.values()] for row in rows])}")
            click.echo(f"{answers.first} to {answers.last}; groups of fewer than {answers.k} installations are hidden")
