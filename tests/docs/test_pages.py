"""The pages of the documentation and the program say the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bridge.cli.command import GLOBAL_OPTIONS
from bridge.cli.main import cli
from bridge.cli.man import page
from bridge.config.keys import keys
from bridge.errors import ExitCode
from bridge.health import metrics
from bridge.health.server import PATHS, PREVIEW
from bridge.log_events import LOG_EVENTS
from tests.health.support import metric_names
from tests.support.docs import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = DOCS.parent / "bridge"
README = DOCS.parent / "README.md"
PAGES = [*sorted(DOCS.parent.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
OURS = "https://github.com/esl/mongooseim-bridge/blob/main/"
PROGRAM = Path(sys.executable).with_name("mongooseim-bridge")


def section(page: str, heading: str) -> str:
    """The text under a heading of the second level."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands(context: click.Context | None = None) -> Iterator[tuple[str, click.Command]]:
    """Every command that can be imported, by its whole name, the program itself as ""."""
    context = context or click.Context(cli, info_name="")
    yield context.command_path.strip(), context.command
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            try:
                command = context.command.get_command(context, name)
            except ModuleNotFoundError:
                continue
            assert command is not None
            yield from commands(click.Context(command, parent=context, info_name=name))


# operations.md


def test_every_log_event_is_explained_and_no_other() -> None:
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|",
        section((DOCS / "operations.md").read_text(), "What every log event means"),
        re.MULTILINE,
    )
    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(explained) == len(set(explained))
    assert set(explained) == LOG_EVENTS


def test_every_exit_code_is_explained() -> None:
    rows = re.findall(r"^\| (\d+) \|", section((DOCS / "operations.md").read_text(), "Exit codes"), re.MULTILINE)
    assert set(map(int, rows)) >= set(ExitCode)


def test_every_metric_and_path_of_the_health_listener_is_explained() -> None:
    text = section((DOCS / "operations.md").read_text(), "Health and metrics")
    names = metric_names()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == names
    assert {name.removeprefix(metrics.PREFIX) for name in re.findall(rf"{metrics.PREFIX}(\w+)", text)} <= names
    assert set(re.findall(r"^\| `(/[\w.]*)` \|", text, re.MULTILINE)) == {*PATHS, PREVIEW} - {"/page.json"}


QUOTED = """
closed the connection during authentication
does not allow the connection
no EPMD answers
is not registered with the EPMD
refuses the connection to its distribution port
did not answer in time
has a host that does not resolve
is connected to another program of our name
does not resolve
did not accept a connection in time
has a certificate that is not trusted
wait for it to end, or stop it
expects TLS
does not speak TLS on its distribution port
cannot be trusted over TLS
short and long names do not mix
"""


def test_messages_are_quoted_as_the_program_has_them() -> None:
    page = section((DOCS / "operations.md").read_text(), "Troubleshooting by symptom")
    code = "".join(path.read_text() for path in CODE.rglob("*.py"))
    messages = QUOTED.strip().splitlines()
    assert [message for message in messages if f"`{message}" not in page or message not in code] == []


# command-line.md


def test_every_command_and_every_option_is_documented() -> None:
    text = (DOCS / "command-line.md").read_text()
    parts = {
        " ".join(word for word in heading.split() if word.islower() or "-" in word): body
        for heading, body in re.findall(r"^##+ `([^`]+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    }
    parts[""] = section(text, "Options for all commands")
    found = dict(commands())
    assert found.keys() == parts.keys()
    for path, command in found.items():
        documented = set(re.findall(r"`?(--[a-z][\w-]*)", re.sub(r"^(?!\|).*$", "", parts[path], flags=re.MULTILINE)))
        options = {
            name
            for parameter in (*command.params, *(() if path else GLOBAL_OPTIONS))
            if isinstance(parameter, click.Option)
            for name in parameter.opts
            if name.startswith("--")
        }
        assert documented == options, path or "global"
        assert command.help, path
        assert all(each.help for each in (*command.params, *GLOBAL_OPTIONS) if isinstance(each, click.Option)), path


# shell completion


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    script = f"""
        set -e
        PATH={PROGRAM.parent}:$PATH
        source <(_MONGOOSEIM_BRIDGE_COMPLETE=bash_source mongooseim-bridge)
        COMP_WORDS=(mongooseim-bridge hist); COMP_CWORD=1
        _mongooseim_bridge_completion mongooseim-bridge
        printf '%s\\n' "${{COMPREPLY[@]}}"
        COMPREPLY=()
        COMP_WORDS=(mongooseim-bridge history --lim); COMP_CWORD=2
        _mongooseim_bridge_completion mongooseim-bridge
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["history", "--limit"], "")


def test_each_shell_gets_its_script() -> None:
    for shell in ("zsh", "fish"):
        environ = {"_MONGOOSEIM_BRIDGE_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([PROGRAM], env=environ, capture_output=True, text=True, timeout=60, check=True)
        assert "mongooseim-bridge" in done.stdout
    for shell in ("bash", "zsh", "fish"):
        line = f"_MONGOOSEIM_BRIDGE_COMPLETE={shell}_source mongooseim-bridge"
        assert line in (DOCS / "command-line.md").read_text()


# the man page


def test_the_man_page_has_every_command_and_option() -> None:
    text = page().replace(r"\-", "-")
    for path, command in commands():
        if path:
            assert f"\n.SS {path}\n" in text
        for parameter in (*command.params, *GLOBAL_OPTIONS):
            if isinstance(parameter, click.Option):
                assert max(parameter.opts, key=len) in text, (path, parameter.opts)
    for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS"):
        assert f"\n.SH {title}\n" in text
    assert text.isascii()


def test_groff_has_nothing_to_complain_of() -> None:
    if not shutil.which("groff"):
        pytest.skip("no groff here (Debian: apt-get install groff)")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c"],
        input=page(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08", "", done.stdout)
    assert "gen_server:call({mongooseim_bridge," in shown
    assert "--cookie-file FILE" in shown


# all pages


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for source in PAGES:
        text = source.read_text()
        for target in re.findall(r"\]\(([^)#\s]*(?:#[\w-]+)?)\)|^\[[\w-]+\]: (\S+)$", text, re.MULTILINE):
            path, _, anchor = "".join(target).partition("#")
            own = path.startswith(OURS)
            if "://" in path and not own:
                continue
            root = DOCS.parent if own else source.parent
            file = (root / path.removeprefix(OURS)).resolve() if path else source
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if file.is_file() else []
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            if not file.exists() or (anchor and anchor not in anchors):
                broken.append(f"{source.name}: {''.join(target)}")
    assert broken == []


def test_files_that_the_pages_name_are_there() -> None:
    added = {"bridge/mongooseim/probes/process_count.erl"}  # by adding-an-event.md, which has a test of its own
    for source in PAGES:
        for name in re.findall(r"`((?:bridge|docs|erlang_stubs|locks|tests)/[\w./-]+)`", source.read_text()):
            assert name in added or (DOCS.parent / name).exists(), f"{source.name}: {name}"


def test_the_readmes_links_work_where_it_is_shown_alone() -> None:
    text = README.read_text()
    assert "](" not in text
    named, defined = (
        set(re.findall(r"\]\[([\w-]+)\]", text)),
        set(re.findall(r"^\[([\w-]+)\]: https://", text, re.MULTILINE)),
    )
    assert named == defined


def test_commands_in_the_pages_exist() -> None:
    known = {path for path, _ in commands()}
    options = {"--config", "--help"}
    for source in PAGES:
        blocks = re.findall(r"```sh\n(.*?)```", source.read_text(), re.DOTALL)
        for line in "".join(blocks).splitlines():
            if found := re.match(r"\s*(?:.* -- )?mongooseim-bridge (?:--config \S+ )?([a-z0-9-]+)", line):
                assert found[1] in known or found[1] in options, line


def test_every_key_that_a_page_sets_in_prose_is_a_key() -> None:
    known = {key.name for key in keys()} | {key.name.rpartition(".")[0] for key in keys()}
    for source in PAGES:
        for key in re.findall(r"`(bridge\.[a-z_]+(?:\.[a-z_]+)*)`", source.read_text()):
            if not (CODE.parent / key.replace(".", "/")).exists() and not key.startswith("bridge.cli"):
                assert key in known, f"{source.name}: {key}"
