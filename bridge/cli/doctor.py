"""`doctor`: check every step from the configuration to GA4."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.command import Command
from bridge.cli.context import echo_json, format_option, pass_unread
from bridge.cli.output import width
from bridge.cli.progress import Progress
from bridge.doctor.examine import examine
from bridge.doctor.steps import Result  # noqa: TC001 - msgspec reads the annotations
from bridge.document import Document
from bridge.errors import ExitCode
from bridge.text import printable
from bridge.threads import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.app import Installation
    from bridge.doctor.steps import Sheet

WIDTH: Final = 100
"""Most columns of the table; a terminal may have fewer."""
MINIMUM: Final = 60
_EXIT_CODES: Final = {
    "configuration": ExitCode.USAGE,
    "cluster": ExitCode.NO_NODE,
    "delivery": ExitCode.NOT_ALL_DELIVERED,
}
"""By the section of the first failure."""
_COLOURS: Final = {"ok": "green", "warning": "yellow", "failure": "red", "skipped": "bright_black"}
_LOOK_SECONDS: Final = 0.05
"""Between looks at what is done."""
_MARGIN: Final = 32
"""Where the text begins, after state and step."""


class Examination(Document, frozen=True):
    """`doctor`."""

    steps: tuple[Result, ...]


@click.command(name="doctor", cls=Command)
@format_option("table", "json", document=Examination)
@click.pass_context
@pass_unread
def command(installation: Installation, ctx: click.Context, form: str) -> None:
    """Check every step from the configuration over the cluster to GA4, and say what is wrong and how to mend it.

    Sends no report and changes nothing; takes less than half a minute, whatever hangs.

    Exit codes: 0 all is ok, warnings included; else by the first section with a failure: 2 configuration, 3 cluster,
    1 delivery (directories, queue, destinations).
    """
    results = run(_examine(installation, shown=form == "table"))
    if form == "json":
        echo_json(Examination(tuple(results)))
    else:
        counts = Counter(str(result.state) for result in results)
        click.echo("\n" + ", ".join(f"{counts[state]} {state}" for state in _COLOURS if counts[state]))
    ctx.exit(_exit_code(results))


async def _examine(installation: Installation, *, shown: bool) -> list[Result]:
    """Examine; each step is printed as soon as it and all before it are done."""
    sheets: list[Sheet] = []
    printed = 0
    async with Progress(lambda: _waiting(sheets)) as progress:
        work = asyncio.create_task(examine(installation, sheets))
        while not work.done():
            await asyncio.wait({work}, timeout=_LOOK_SECONDS)
            lines = _lines(_settled(sheets)) if shown else []
            if lines[printed:]:
                progress.erase()
                click.echo("\n".join(lines[printed:]))
                printed = len(lines)
    return await work


def _settled(sheets: Sequence[Sheet]) -> list[Result]:
    results: list[Result] = []
    for sheet in sheets:
        results += sheet.results
        if not sheet.complete:
            break
    return results


def _waiting(sheets: Sequence[Sheet]) -> str:
    return ", ".join(sheet.subject or sheet.section for sheet in sheets if not sheet.complete) or "the configuration"


def _exit_code(results: Sequence[Result]) -> int:
    failed = {result.section for result in results if result.state == "failure"}
    return next((code for section, code in _EXIT_CODES.items() if section in failed), ExitCode.DONE)


def _lines(results: Sequence[Result]) -> list[str]:
    lines: list[str] = []
    for (section, subject), group in groupby(results, key=lambda result: (result.section, result.subject)):
        lines += [""] if lines else []
        lines.append(click.style(f"{section}: {printable(subject)}" if subject else section, bold=True))
        # What is skipped for one reason is one line, however many steps it is.
        for _, same in groupby(group, key=lambda each: (each.state == "skipped" or each.step, each.found)):
            lines += _entry(list(same))
    return lines


def _entry(results: Sequence[Result]) -> Iterator[str]:
    state, found = results[0].state, results[0].found
    name = results[0].step if len(results) == 1 else f"{results[0].step} … {results[-1].step}"
    told = [*_wrapped(found), *(f"  {line}" for line in _wrapped(results[0].advice))]
    head = f"{click.style(f'{state:<8}', fg=_COLOURS[state])} {name}"
    if len(name) > _MARGIN - 12:
        yield f"  {head}"
    else:
        yield f"  {head.ljust(len(head) - len(name) + _MARGIN - 11)}{told.pop(0)}"
    yield from (" " * _MARGIN + line for line in told)


def _wrapped(text: str) -> list[str]:
    columns = max(min(width() or WIDTH, WIDTH), MINIMUM) - _MARGIN
    return wrap(printable(text), columns - 2, break_on_hyphens=False) or []
