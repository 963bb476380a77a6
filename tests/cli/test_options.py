"""Options of all commands stand anywhere, every command names them, and output fits where it goes."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from bridge.cli.command import GLOBAL_OPTIONS
from bridge.cli.main import cli
from bridge.cli.output import coloured
from bridge.cli.table import table
from tests.support.bridge import PROGRAM, Bridge, Result
from tests.support.forked import run_forked
from tests.support.terminal import on_a_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster


COLOUR = "\x1b["


def output(*arguments: str, **environ: str) -> Result:
    return Result(*run_forked(arguments, {"PATH": "/usr/bin:/bin", **environ}, 30))


def paths(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from paths(inner, (*path, name))


@pytest.mark.parametrize("path", list(paths()), ids=" ".join)
def test_every_commands_help_names_the_options_of_all(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*path, "--help"], standalone_mode=False)
    shown = capsys.readouterr().out.partition("Options for all commands:")[2]
    assert set(re.findall(r"^  (--[\w-]+)", shown, re.MULTILINE)) == {option.opts[0] for option in GLOBAL_OPTIONS}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "{}", "config", "show"),
        ("config", "--config", "{}", "show"),
        ("config", "show", "--config", "{}"),
        ("--config", "/no/such/file", "config", "show", "--config", "{}"),
    ],
)
def test_global_options_stand_anywhere_and_the_last_one_counts(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config = tmp_path / "b.toml"
    config.write_text('[bridge]\nstate_dir = "/of/this/file"\nreport = false\n')
    done = output(*(each.format(config) for each in arguments))
    assert "/of/this/file" in done.out, done.err


def test_a_groups_own_work_waits_for_the_options_behind_its_subcommand(tmp_path: Path) -> None:
    config = tmp_path / "b.toml"
    config.write_text(f'[bridge]\nstate_dir = "{tmp_path}/state"\n')
    done = output("--config", "/no/such/file", "history", "show", "1", "--config", str(config))
    assert f"{tmp_path}/state" in done.err


def test_nodes_of_both_sides_are_all_meant(tmp_path: Path) -> None:
    done = output("--node", "a@h", "config", "show", "--node", "b@h", HOME=str(tmp_path))
    assert '["a@h", "b@h"]' in done.out


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "config", "chekc"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "mongooseim-bridge: there is no command 'config chekc'; did you mean config check?\n",
    )


def test_the_example_goes_to_stdout_for_a_dash() -> None:
    assert output("config", "init", "-").out == output("config", "init").out != ""


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"FORCE_COLOR": "1"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_the_environment_decides_about_colours(environ: dict[str, str], wanted: bool | None) -> None:
    assert coloured(environ) is wanted


@pytest.mark.parametrize(("term", "there"), [("xterm", True), ("dumb", False)])
def test_doctor_is_coloured_on_a_terminal(tmp_path: Path, term: str, *, there: bool) -> None:
    command = [str(PROGRAM), "doctor", "--config", str(tmp_path / "none.toml")]
    with on_a_terminal(command, {"TERM": term}) as terminal:
        assert (COLOUR in terminal.read_to_the_end()[0]) is there


def test_doctor_is_coloured_elsewhere_where_that_is_wanted(tmp_path: Path) -> None:
    arguments = ("doctor", "--config", str(tmp_path / "none.toml"))
    assert COLOUR not in output(*arguments, TERM="xterm").out
    assert COLOUR in output(*arguments, FORCE_COLOR="1").out


@pytest.mark.parametrize("columns", [60, 200])
def test_tables_fit_the_terminal(default_cluster: StubCluster, tmp_path: Path, columns: int) -> None:
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ)
    with on_a_terminal(bridge.command("config", "show"), bridge.process_environ(), columns=columns) as terminal:
        shown, code = terminal.read_to_the_end()
    assert code == 0
    widest = max(map(len, shown.split("\r\n")))
    assert widest <= columns
    assert widest > columns - 20 or columns == 200
    assert max(map(len, bridge.run("config", "show").out.splitlines())) > 80


def test_what_goes_to_no_terminal_is_never_wrapped() -> None:
    assert table(("a",), [("word " * 100,)]).count("\n") == 3


def test_a_shell_completes_the_ids_of_reports(bridge: Bridge) -> None:
    assert bridge.run("report").code == 0
    done = output(
        **bridge.process_environ(
            _MONGOOSEIM_BRIDGE_COMPLETE="bash_complete",
            COMP_WORDS=f"mongooseim-bridge history show --config {bridge.config} ",
            COMP_CWORD="5",
        )
    )
    assert (done.out, done.err) == ("plain,1\n", "")
