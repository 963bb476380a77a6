"""What every command gets: the installation that the options of the command line name, and the form of its result."""

from __future__ import annotations

import os
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click
import msgspec

from bridge.app import Installation
from bridge.cli.command import TYPED, Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.document import Document

_Command = TypeVar("_Command", bound="Callable[..., Any] | click.Command")
_P = ParamSpec("_P")
_T = TypeVar("_T")


def pass_unread(function: Callable[Concatenate[Installation, _P], _T]) -> Callable[_P, _T]:
    """Pass the installation as it is named; its configuration may turn out to be unusable when it is first used."""

    def command(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return function(installation(click.get_current_context()), *args, **kwargs)

    return update_wrapper(command, function)


def pass_installation(function: Callable[Concatenate[Installation, _P], _T]) -> Callable[_P, _T]:
    """Pass the installation with its configuration read, and log as it says."""

    def command(installation: Installation, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        installation.set_up_log()
        return function(installation, *args, **kwargs)

    return pass_unread(update_wrapper(command, function))


def installation(ctx: click.Context) -> Installation:
    """The installation that the global options typed so far name."""
    options = dict(ctx.meta.get(TYPED, {}))
    file = options.pop("bridge.config", None)
    return Installation(Path(file) if file else None, options, os.environ)


class FormatOption(click.Option):
    """`--format` of a command, with the document that it prints as JSON."""

    def __init__(self, *declarations: Any, document: type[Document] | None, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.document = document


def format_option(
    *forms: str,
    document: type[Document] | None = None,
    help: str = "Form of the result.",  # noqa: A002 - click's word
) -> Callable[[_Command], _Command]:
    """`--format` of a command, as its parameter `form`; the first of the forms is what people get who ask for none.

    Args:
        forms: all of them.
        document: what `json` prints.
        help: what it is the form of.
    """
    return click.option(
        "--format", "form", cls=FormatOption, type=Choice(forms), default=forms[0], help=help, document=document
    )


def echo_json(document: Document, *, indent: int = 2) -> None:
    """Print a document."""
    click.echo(msgspec.json.format(document.to_json(), indent=indent).decode())
