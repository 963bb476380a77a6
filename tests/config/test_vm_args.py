"""vm.args are read as `erl -args_file` reads them: every file here is given to a real node too."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config import vm_args
from bridge.config.errors import ConfigError
from bridge.config.vm_args import host_name, read_vm_args
from bridge.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.conftest import Erl

NO_NODE = ("nonode@nohost", "nocookie")


def agree(folder: Path, text: str, erl: Erl) -> None:
    """Write the file and ask both; Erlang falls back on the file in its home directory for a cookie, as we do."""
    path = folder / "vm.args"
    path.write_bytes(text.encode("latin-1"))
    cookie = folder / ".erlang.cookie"
    if not cookie.exists():
        cookie.write_text("from_home")
        cookie.chmod(0o400)
    found = read_vm_args(path)
    ours = (found.node, found.cookie.reveal() if found.cookie is not None else "from_home") if found.node else NO_NODE
    assert ours == erl("-args_file", str(path), home=folder), text


@pytest.mark.parametrize(
    "text",
    [
        "## Name\n-sname mim@localhost\n\n-setcookie monster\n+K true\n-kernel net_ticktime 60\n",
        "# caf\xe9 in Latin-1\n-sname mim@localhost -setcookie monster",
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
        "-sname mim@localhost -setcookie '-x'",
        "-sname mim@localhost -setcookie -- x",
        "-sname mim@localhost -setcookie x -- -y z",
        "-sname mim@localhost -setcookie x -extra -sname other@localhost -setcookie y",
        "-sname one@localhost -sname two@localhost -setcookie x",
        "-name long@localhost.example -sname short@localhost -setcookie x",
        "-name long@localhost.example -sname a b -setcookie x",
        "-sname mim@localhost b -setcookie x",
        "-setcookie x",
        "-sname mim@localhost -setcookie +K true x +sbwt none",
        "-sname mim@localhost -setcookie a#b c",
        "-sname mim@localhost -setcookie a\\#b",
        '-sname mim@localhost -setcookie \'a\\b\'\\""c # d"',
        "-sname mim@localhost -setcookie a\\\nb",
        "-sname mim@localhost -setcookie 'open",
        "-sname mim@localhost -setcookie x ''",
        "-sname mim@localhost -setcookie ''",
        "-sname mim@localhost -setcookie x\\",
        "-sname mim -setcookie x",
        "-env A 1 -sname mim@localhost -setcookie x -args_file more.args\n-setcookie y",
    ],
)
def test_name_and_cookie_are_those_of_a_real_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, erl: Erl
) -> None:
    (tmp_path / "more.args").write_text("-setcookie\n")
    monkeypatch.chdir(tmp_path)
    agree(tmp_path, text, erl)


WORDS = st.sampled_from(
    (
        *("-setcookie", "-setcookie x", "-extra", "--", "-other", "\\-z", "+K true", "# o\n", "\n", "p#q\n"),
        *("mim@localhost", "x", "y", "''", '"q w"', "k\\ l", "m'n'"),
    )
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, max_size=10))
def test_generated_files_are_read_as_a_real_node_reads_them(tmp_path: Path, words: list[str], erl: Erl) -> None:
    agree(tmp_path, " ".join(["-sname mim@localhost --", *words]), erl)


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
