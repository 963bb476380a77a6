"""`config check` and `config show`: what they say of consent, of vm.args, and of what cannot be read."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bridge.cli.main import cli
from bridge.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a cookie, and nothing else in the environment."""
    for name in set(os.environ) - {"PATH"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    cookie = tmp_path / ".erlang.cookie"
    cookie.write_text("monster")
    cookie.chmod(0o400)
    return tmp_path


def run(home: Path, text: str, *arguments: str) -> str:
    path = home / "c.toml"
    path.write_text(text)
    path.chmod(0o600)
    return CliRunner().invoke(cli, ["--config", str(path), "config", *arguments], catch_exceptions=False).output


@pytest.mark.parametrize(
    ("text", "consent"), [("", "on: report is not set"), ("[bridge]\nreport = false", "off: bridge.report = false (")]
)
def test_check_and_show_say_the_consent_in_force_and_why(home: Path, text: str, consent: str) -> None:
    assert f"reporting is {consent}" in run(home, text, "check")
    shown = json.loads(run(home, text, "show", "--format", "json"))
    assert f"{'on' if shown['reporting'] else 'off'}: {shown['reason']}".startswith(consent)


def test_show_has_what_vm_args_say_and_the_name_that_is_used(home: Path) -> None:
    (home / "vm.args").write_text("-sname mim@localhost -setcookie monster -erl_epmd_port 4000")
    (home / "vm.dist.args").write_text("-proto_dist inet_tls -ssl_dist_opt client_verify verify_none")
    text = f'[bridge]\nvm_args = "{home}/vm.args"'
    output = run(home, text, "show", "--format", "json")
    rows = {row["key"]: (row["value"], row["origin"]) for row in json.loads(output)["settings"]}
    assert rows["bridge.nodes"] == (["mim@localhost:4000"], f"{home}/vm.args")
    assert rows["bridge.name"] == ("mongooseim_bridge@localhost", "this host's name")
    assert rows["bridge.cookie"] == ("********", f"-setcookie in {home}/vm.args")
    assert rows["bridge.tls.verify"] == (False, f"{home}/vm.args")
    assert "monster" not in output


def test_show_has_the_rest_where_the_cluster_cannot_be_entered(home: Path) -> None:
    (home / ".erlang.cookie").unlink()
    output = run(home, "[bridge]\nepmd_port = 4000", "show")
    assert "there is no cookie" in output
    assert "4000" in output


@pytest.mark.parametrize(
    ("endpoint", "proxy"),
    [
        ("https://999.1.1.1/mp/collect", ""),
        ("https://h/mp/collect", "http://999.1.1.1:3128"),
        ("https://h/mp/collect", f"http://user:12#{SECRET}@proxy"),
        ("https://h/mp/collect", f"http://user:1/{SECRET}@proxy"),
        ("https://h/mp/collect", f"http://user:1?{SECRET}@proxy"),
        ("https://h/mp/collect", f"http://user:{SECRET}\\u0007@proxy"),
        ("https://h\u0301..x/mp/collect", ""),
    ],
)
def test_addresses_that_no_request_can_be_made_to_are_refused_by_check_without_a_piece_of_a_password(
    home: Path, endpoint: str, proxy: str
) -> None:
    text = (f'proxy = "{proxy}"\n' if proxy else "") + '[[bridge.destinations]]\nmeasurement_id = "G-AAAA"\n'
    with pytest.raises(ConfigError) as caught:
        run(home, f'[bridge]\n{text}api_secret = "hush"\nendpoint = "{endpoint}"', "check")
    assert len(caught.value.problems) == 1
    assert SECRET not in str(caught.value)
    assert "user:" not in str(caught.value)
