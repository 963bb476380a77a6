"""vm.args are read as `erl -args_file` reads them: every file here is given to a real node too."""

from __future__ import annotations

import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config import vm_args
from bridge.config.errors import ConfigError
from bridge.config.vm_args import host_name, parse_flags, read_vm_args
from bridge.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.conftest import Erl

NO_NODE = ("nonode@nohost", "nocookie")


@pytest.mark.parametrize(
    "text",
    [
        "## Name\n-sname mim@localhost\n\n-setcookie monster\n+K true\n-kernel net_ticktime 60\n",
        "-sname mim@localhost -setcookie x y",
        "-sname mim@localhost -setcookie mim@localhost y",
        "-sname mim@localhost -setcookie other@localhost y -setcookie z",
        "-sname mim@localhost -setcookie x -setcookie y",
        "-sname mim@localhost -setcookie -setcookie x",
        "-sname mim@localhost -setcookie mim@localhost y -setcookie x",
        "-sname mim@localhost -setcookie mim@localhost y -setcookie mim@localhost z",
        "-sname mim@localhost -setcookie x -setcookie z -setcookie mim@localhost y",
        "-sname mim@localhost -setcookie -setcookie mim@localhost y",
        "-sname mim@localhost -setcookie -x",
        "-sname mim@localhost -setcookie -- x",
        "-sname mim@localhost -setcookie x -extra -sname other@localhost -setcookie y",
        "-sname one@localhost -sname two@localhost -setcookie x",
        "-name long@localhost.example -sname short@localhost -setcookie x",
        "-name long@localhost.example -sname a b -setcookie x",
        "-sname mim@localhost b -setcookie x",
        "-setcookie x",
        "-sname mim@localhost -setcookie ''",
        "-sname mim -setcookie x",
    ],
)
def test_name_and_cookie_are_those_of_a_real_node(tmp_path: Path, text: str, erl: Erl) -> None:
    """Erlang falls back on the file in its home directory for a cookie, as we do."""
    path, cookie = tmp_path / "vm.args", tmp_path / ".erlang.cookie"
    path.write_text(text)
    cookie.write_text("from_home")
    cookie.chmod(0o400)
    found = read_vm_args(path)
    ours = (found.node, found.cookie.reveal() if found.cookie is not None else "from_home") if found.node else NO_NODE
    assert ours == erl("-args_file", str(path), home=tmp_path)


WORDS = st.sampled_from(
    (
        *("-setcookie", "-extra", "--", "-other", "\\-z", "'-z'", "+K true", "+sbwt none", "# o\n", "\n", "p#q\n"),
        *("mim@localhost", "x", "y", "''", '"q w"', "k\\ l", "m'n'", "a\\#b", '\'a\\b\'\\""c # d"', "# caf\xe9\n"),
        *("-args_file more.args", "z\\\nz", "'open", "x\\"),
    )
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, max_size=12))
def test_the_words_of_generated_files_are_those_that_erl_gives_to_a_node(
    tmp_path: Path, words: list[str], program: str
) -> None:
    """With -emu_args_exit `erl` prints them, a line each, and starts no node; what is the emulator's goes first."""
    path = tmp_path / "vm.args"
    path.write_bytes(" ".join(words).encode("latin-1"))
    (tmp_path / "more.args").write_text("-setcookie\n")
    command = [program, "-emu_args_exit", "-begin", "-args_file", "vm.args"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=20, check=True).stdout
    begin = said.decode(errors="surrogateescape").partition("\n-begin\n")[2]
    theirs = begin.partition("\n-extra\n")[0].rstrip("\n").split("\n")
    ours = "\n".join(read_vm_args(path).words).split("\n")
    assert list(parse_flags(["-begin", *ours])) == list(parse_flags(["-begin", *theirs])), words


def test_the_files_of_an_installation_are_understood(tmp_path: Path) -> None:
    (tmp_path / "vm.args").write_text("-sname mim@localhost\n-setcookie monster\n-erl_epmd_port 4000\n")
    (tmp_path / "vm.dist.args").write_text("# -kernel x 30000\n-proto_dist inet_tls\n-ssl_dist_opt x y\n")
    parsed = read_vm_args(tmp_path / "vm.args")
    assert (parsed.node, parsed.cookie, parsed.tls) == ("mim@localhost:4000", Secret("monster"), True)
    assert "monster" not in repr(parsed)


@pytest.mark.parametrize(
    ("text", "problem"), [("-args_file nothing.args", "nothing.args"), ("-args_file vm.args", "names itself")]
)
def test_a_file_that_cannot_be_followed_is_a_clear_error(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "vm.args").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        read_vm_args(tmp_path / "vm.args")


def test_a_silent_name_server_does_not_hold_up_the_full_name(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(socket, "getfqdn", hang)
    monkeypatch.setattr(vm_args, "LOOK_UP_SECONDS", 0.05)
    assert host_name(long=True) == "box"
    released.set()


def test_the_full_name_is_that_of_a_forward_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "box.example.org", ())])
    assert host_name(long=True) == "box.example.org"
    assert host_name(long=False) == "box"
