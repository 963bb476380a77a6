"""What every command has in common: the options that all of them take, and errors that name what was meant."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TYPED: Final = "bridge.cli.typed"
"""Key in `Context.meta`, which all contexts of a command line share, of the global options that were typed."""


class UsageError(BridgeError):
    """The command line cannot be understood."""


class GlobalOption(click.Option):
    """An option that stands anywhere on the command line; its value is a key of the configuration, by its name."""

    def __init__(self, *declarations: str, **attributes: Any) -> None:
        super().__init__(declarations, expose_value=False, callback=_keep, **attributes)

    def get_help_record(self, ctx: click.Context) -> None:
        """Nothing: these options have a section of their own."""

    def record(self, ctx: click.Context) -> tuple[str, str]:
        """Its names and its help, for that section."""
        record = super().get_help_record(ctx)
        assert record
        return record


def _keep(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Of an option that is given twice the last one counts; of nodes all of them do."""
    if option.name and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
        typed = ctx.meta.setdefault(TYPED, {})
        key = option.name.replace("_", ".", 1)
        typed[key] = (*typed.get(key, ()), *value) if option.multiple else value


class Choice(click.Choice[str]):
    """One of several words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word.

        Raises:
            UsageError: it is not one of them; the nearest is named.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            where = param.opts[0] if param else ""
            near = suggestion(value.lower(), self.choices)
            raise UsageError(f"{where}: {value!r} is not one of {', '.join(self.choices)}", near) from None


GLOBAL_OPTIONS: Final = (
    GlobalOption(
        "--config",
        "bridge_config",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Configuration file (TOML).",
    ),
    GlobalOption(
        "--node",
        "bridge_nodes",
        multiple=True,
        metavar="NAME",
        help="Where to enter the cluster: name@host[:port]; may be repeated.",
    ),
    GlobalOption("--name", "bridge_name", metavar="NAME", help="Own node name; one lent by the peer unless set."),
    GlobalOption(
        "--cookie-file",
        "bridge_cookie_file",
        type=click.Path(),
        metavar="FILE",
        help="File with the cluster's cookie.",
    ),
    GlobalOption(
        "--log-level",
        "bridge_log_level",
        type=Choice(["debug", "info", "warning", "error"]),
        help="Least severity that is logged.",
    ),
    GlobalOption(
        "--log-format",
        "bridge_log_format",
        type=Choice(["text", "json"]),
        help="Log lines for people or for collectors.",
    ),
)


class Command(click.Command):
    """A command that takes the global options too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters and those of all commands."""
        return [*super().get_params(ctx), *GLOBAL_OPTIONS]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options first."""
        super().format_options(ctx, formatter)
        with formatter.section("Options for all commands"):
            formatter.write_dl([option.record(ctx) for option in GLOBAL_OPTIONS])


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names.

        Raises:
            UsageError: there is none of that name; what was meant is named, also where another group has it.
        """
        name = args[0]
        if ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name):
            return super().resolve_command(ctx, args)
        known = self.list_commands(ctx)
        path = " ".join([*ctx.command_path.split()[1:], ""])
        meant = {each: f"{path}{each}" for each in [*known, "--help", *(() if path else ("--version",))]}
        groups = {each: command for each in known if isinstance(command := self.get_command(ctx, each), click.Group)}
        within = {inner: f"{each} {inner}" for each, group in groups.items() for inner in group.list_commands(ctx)}
        remedy = suggestion(name, meant) or suggestion(name, within) or f"the commands are {', '.join(known)}"
        raise UsageError(f"there is no command {path + name!r}", remedy)


class LazyGroup(Group):
    """Lists all its commands without importing them: start-up time is part of every `preview`.

    Args:
        lazy: command, its module in bridge.cli, and its line in the overview. A module is imported when its command
            runs.
    """

    def __init__(self, *arguments: Any, lazy: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in their order."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return its `command`."""
        if cmd_name not in self._lazy:
            return None
        command = import_module(f"bridge.cli.{self._lazy[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, without any import."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lazy.items()])


def usage_error(error: click.ClickException) -> BridgeError:
    """An error of click's as one of ours."""
    text = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    remedy = f"see `{context.command_path} --help`" if context else ""
    if isinstance(error, click.NoSuchOption):
        text = f"there is no option {error.option_name}"
        remedy = f"did you mean {error.possibilities[0]}?" if error.possibilities else remedy
    return UsageError(f"{text[:1].lower()}{text[1:]}", remedy)


def suggestion(name: str, known: Iterable[str]) -> str:
    """A question for what is most alike, empty where nothing is; of a mapping it names the value."""
    from difflib import get_close_matches  # noqa: PLC0415 - 1 ms that only a mistake takes

    meant = known if isinstance(known, dict) else {each: each for each in known}
    near = get_close_matches(name, meant, n=1)
    return f"did you mean {meant[near[0]]}?" if near else ""
