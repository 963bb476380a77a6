"""The probes are what they are said to be: all asked, each explained, and ready to paste into a shell of a node."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from bridge.mongooseim.probes import PROBES, call_arguments, text
from bridge.mongooseim.wall import WORDS
from tests.support.terminal import on_a_terminal

if TYPE_CHECKING:
    from erlang_stubs.cluster import StubCluster


def test_every_file_is_asked_and_every_probe_has_a_file() -> None:
    found = {entry.name for entry in files("bridge.mongooseim").joinpath("probes").iterdir()}
    assert found == {f"{name}.erl" for name in PROBES}


@pytest.mark.parametrize("name", [name for name in PROBES if name != "otp_release"])
def test_every_probe_says_what_it_gives_and_why(name: str) -> None:
    code = files("bridge.mongooseim").joinpath("probes", f"{name}.erl").read_text(encoding="utf-8")
    head = [line for line in code.splitlines() if line.startswith("%")]
    assert len(head) >= 2
    assert any("Policy:" in line for line in head), "it says which promise of the policy it serves"


def test_the_text_is_plain_ascii_and_short_enough_for_one_string() -> None:
    assert text().isascii()
    assert len(text()) < 65_536


def test_the_text_can_be_pasted_into_a_shell_of_a_node_again_and_again(default_cluster: StubCluster) -> None:
    """A remote shell on a terminal, as `mongooseimctl debug` opens one."""
    command = ["erl", "-sname", "paste@localhost", "-hidden", "-remsh", default_cluster.entry]
    home = str(default_cluster.cookie_file.parent)
    with on_a_terminal(command, {**default_cluster.environ, "HOME": home, "TERM": "vt100"}) as terminal:
        terminal.read_until("1> ")
        for prompt in ("2> ", "3> "):
            terminal.write(text())
            printed = terminal.read_until(prompt)
            # What was typed is echoed, so what was answered is told apart by its outcome.
            for name in PROBES:
                assert re.search(rf"{{{name},\s*{{ok,", printed), printed
            assert not re.search(r"{failed,\s*(error|exit|throw),\s*\w+}}", printed), printed


def test_every_list_of_the_wall_is_in_the_text_and_in_the_call() -> None:
    given = dict(dict(call_arguments(10, "mongooseim_bridge@localhost")[1])["Given"])
    assert given["OwnName"] == list(b"mongooseim_bridge@localhost")
    assert given["Limit"] == 8000
    assert given["Words"] == {name: sorted(words) for name, words in WORDS.items()}
    for name, words in WORDS.items():
        (listed,) = re.findall(rf"^    {name} => \[([^]]*)\]", text(), re.MULTILINE)
        assert set(listed.replace(",", " ").split()) == words
