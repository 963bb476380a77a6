"""What every command gets: the options of the command line, and from them the settings, the log and the parts."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bridge.config.access import Access
    from bridge.config.load import Loaded
    from bridge.config.model import Settings
    from bridge.delivery.ga4 import Ga4Destination

_Command = TypeVar("_Command", bound="Callable[..., Any] | click.Command")


@dataclass
class AppContext:
    """The command line as typed and the environment; everything else is read when a command first asks for it."""

    file: Path | None
    options: Mapping[str, object]
    environ: Mapping[str, str] = field(repr=False)

    @cached_property
    def loaded(self) -> Loaded:
        """The checked configuration; the log is set up as it says.

        Raises:
            ConfigError: it cannot be used.
        """
        from bridge.config.load import load  # noqa: PLC0415 - `--help` does not need it

        loaded = load(self.file, self.environ, self.options)
        set_up_log(loaded.settings.bridge.log_level, loaded.settings.bridge.log_format)
        return loaded

    @property
    def settings(self) -> Settings:
        """The settings of `loaded`."""
        return self.loaded.settings

    @cached_property
    def access(self) -> Access:
        """How to reach the cluster.

        Raises:
            ConfigError: names, cookie or TLS cannot be used.
        """
        from bridge.config.access import access  # noqa: PLC0415 - as above

        return access(self.loaded, self.environ)

    @cached_property
    def destinations(self) -> tuple[Ga4Destination, ...]:
        """Where reports go.

        Raises:
            ConfigError: a secret is missing.
        """
        from bridge.config.destinations import destinations  # noqa: PLC0415 - as above

        return destinations(self.loaded, self.environ)


pass_app: Final = click.make_pass_decorator(AppContext)


def format_option(*forms: str, help: str = "Form of the result.") -> Callable[[_Command], _Command]:  # noqa: A002 - click's word
    """`--format` of a command, as its parameter `form`; the first of the forms is what people get who ask for none."""
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], help=help)


def set_up_log(level: str, form: str) -> None:
    """Log to stderr, in the one format; other libraries are heard from WARNING on.

    httpx and httpcore log whole URLs, API secrets included, so they are never asked for more.
    """
    from bridge.log import JsonFormatter, TextFormatter  # noqa: PLC0415 - `--help` does not need it

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bridge").setLevel(level.upper())
