"""What every command gets: the installation that the options of the command line name."""

from __future__ import annotations

import os
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from bridge.app import Installation
from bridge.cli.command import TYPED, Choice

if TYPE_CHECKING:
    from collections.abc import Callable

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


def format_option(*forms: str, help: str = "Form of the result.") -> Callable[[_Command], _Command]:  # noqa: A002 - click's word
    """`--format` of a command, as its parameter `form`; the first of the forms is what people get who ask for none."""
    return click.option("--format", "form", type=Choice(forms), default=forms[0], help=help)
