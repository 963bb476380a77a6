"""The cookie comes from the strongest source, from files that nobody else can read, and is never shown."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING

import msgspec
import pytest

from bridge.config.cookie import find_cookie
from bridge.config.errors import ConfigError
from bridge.config.model import BridgeSection
from bridge.config.vm_args import read_vm_args
from bridge.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.conftest import Erl


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def cookie_file(path: Path, text: str, mode: int = 0o400) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_sources_in_their_order(tmp_path: Path, home: dict[str, str]) -> None:
    vm_args = tmp_path / "vm.args"
    vm_args.write_text("-sname mongooseim@localhost\n-setcookie from_vm_args\n")
    parsed = read_vm_args(vm_args)
    cookie_file(tmp_path / ".config/erlang/.erlang.cookie", "from_xdg")
    assert find_cookie(BridgeSection(), None, home).secret.reveal() == "from_xdg"
    cookie_file(tmp_path / ".erlang.cookie", "from_home\n")
    assert find_cookie(BridgeSection(), None, home).secret.reveal() == "from_home"
    bridge = BridgeSection(vm_args=str(vm_args))
    assert find_cookie(bridge, parsed, home).secret.reveal() == "from_vm_args"
    bridge = msgspec.structs.replace(bridge, cookie=Secret("from_environment"))
    assert find_cookie(bridge, parsed, home).secret.reveal() == "from_environment"
    bridge = msgspec.structs.replace(bridge, cookie_file=cookie_file(tmp_path / "cookie", "from_file"))
    assert find_cookie(bridge, parsed, home).secret.reveal() == "from_file"


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_private_files_pass(tmp_path: Path, home: dict[str, str], mode: int) -> None:
    path = cookie_file(tmp_path / "cookie", "monster", mode)
    assert find_cookie(BridgeSection(cookie_file=path), None, home).secret.reveal() == "monster"


@pytest.mark.parametrize("mode", [0o444, 0o644, 0o660, 0o604, 0o666])
def test_open_files_are_refused_with_the_remedy(tmp_path: Path, home: dict[str, str], mode: int) -> None:
    path = cookie_file(tmp_path / "cookie", "monster", mode)
    with pytest.raises(ConfigError, match=r"chmod 0400") as caught:
        find_cookie(BridgeSection(cookie_file=path), None, home)
    assert "monster" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"  \n", b"two\nlines", b"\xff\xfe", b"x" * 256, b"x" * 5000])
def test_a_file_that_holds_no_cookie_is_refused(tmp_path: Path, home: dict[str, str], content: bytes) -> None:
    path = tmp_path / "cookie"
    path.write_bytes(content)
    path.chmod(0o400)
    with pytest.raises(ConfigError, match="one line of text"):
        find_cookie(BridgeSection(cookie_file=str(path)), None, home)
    path.rename(tmp_path / ".erlang.cookie")
    with pytest.raises(ConfigError, match="one line of text"):
        find_cookie(BridgeSection(), None, home)


def test_blanks_belong_to_a_cookie_as_erlang_reads_its_file(tmp_path: Path, home: dict[str, str], erl: Erl) -> None:
    """A node reads the file whenever its distribution starts."""
    path = tmp_path / ".erlang.cookie"
    contents = ("abc ", " abc", "a b c\r\n", "abc  \n \n", "abc\n")
    encoded = ", ".join(f'"{b64encode(each.encode()).decode()}"' for each in contents)
    read = f"""[begin
        file:delete("{path}"), file:write_file("{path}", base64:decode(Each)), file:change_mode("{path}", 8#400),
        {{ok, _}} = net_kernel:start([blanks@localhost, shortnames]), Cookie = erlang:get_cookie(),
        net_kernel:stop(), atom_to_list(Cookie) end || Each <- [{encoded}]]"""
    theirs = erl(home=tmp_path, say=read)
    path.unlink()
    for content, cookie in zip(contents, theirs, strict=True):
        cookie_file(path, content)
        assert find_cookie(BridgeSection(), None, home).secret.reveal() == cookie
        path.unlink()


def test_a_cookie_comes_out_of_a_pipe_too_but_once(home: dict[str, str]) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"piped\n")
    os.close(theirs)
    bridge = BridgeSection(cookie_file=f"/dev/fd/{ours}")
    assert find_cookie(bridge, None, home).secret.reveal() == "piped"
    with pytest.raises(ConfigError, match=r"a pipe, which has been read before; .* restart"):
        find_cookie(bridge, None, home)
    os.close(ours)


def test_no_cookie_anywhere_names_all_the_places(home: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"cookie_file.*MONGOOSEIM_BRIDGE_COOKIE.*vm_args.*\.erlang\.cookie"):
        find_cookie(BridgeSection(), None, home)
