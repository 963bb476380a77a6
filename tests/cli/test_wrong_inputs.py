"""What people mistype: one line that names it and says what was meant, its exit code, nothing on stdout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bridge.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

USAGE, NO_NODE, OFF, STATE = 2, 3, 4, 5

COMMANDS = [
    ("previw", "'previw'", "did you mean preview?"),
    ("repot", "'repot'", "did you mean report?"),
    ("stauts", "'stauts'", "did you mean status?"),
    ("docter", "'docter'", "did you mean doctor?"),
    ("Preview", "'Preview'", "did you mean preview?"),
    ("emulator", "'emulator'", "did you mean ga4-emulator?"),
    ("init", "'init'", "did you mean config init?"),
    ("accept", "'accept'", "did you mean consent accept?"),
    ("resend 3", "'resend'", "did you mean history resend?"),
    ("help", "'help'", "did you mean --help?"),
    ("version", "'version'", "did you mean --version?"),
    ("xyzzy", "'xyzzy'", "the commands are report, preview, run"),
    ("config chekc", "'config chekc'", "did you mean config check?"),
    ("history 3", "'history 3'", "the commands are diff, resend, show"),
    ("history shwo 3", "'history shwo'", "did you mean history show?"),
    ("consent acept", "'consent acept'", "did you mean consent accept?"),
    ("schema stauts", "'stauts'", "did you mean status?"),
    ("schema probes", "'probes'", "those that do are report"),
]
OPTIONS = [
    ("preview --formt json", "--formt", "did you mean --format?"),
    ("preview --json", "--json", "preview --help"),
    ("--confg x.toml status", "--confg", "did you mean --config?"),
    ("status --confg x.toml", "--confg", "did you mean --config?"),
    ("nodes --forgt a@h", "--forgt", "did you mean --forget?"),
    ("nodes --cookie x", "--cookie", "did you mean --cookie-file?"),
    ("run --dry-run", "--dry-run", "run --help"),
    ("history --newest", "--newest", "history --help"),
    ("history --sinc 3d", "--sinc", "did you mean --since?"),
    ("compare --al", "--al", "did you mean --all?"),
    ("ga4-emulator --prot 1", "--prot", "did you mean --port?"),
    ("preview --format", "--format", "requires an argument"),
    ("preview --node", "--node", "requires an argument"),
]
VALUES = [
    ("preview --format jsn", "--format: 'jsn'", "did you mean json?"),
    ("preview --format yaml", "--format: 'yaml'", "table, json, ga4"),
    ("history --format CSV", "--format: 'CSV'", "did you mean csv?"),
    ("status --log-level warn", "--log-level: 'warn'", "did you mean warning?"),
    ("status --log-level loud", "--log-level: 'loud'", "debug, info, warning, error"),
    ("status --log-format jason", "--log-format: 'jason'", "did you mean json?"),
    ("history --limit 0", "--limit", "history --help"),
    ("history --limit ten", "--limit", "'ten'"),
    ("history --since yesterday", "'yesterday'", "3d, 12h"),
    ("history --until 2026-13-01", "'2026-13-01'", "2026-01-31"),
    ("history show", "'ID'", "history show --help"),
    ("history show abc", "'ID'", "'abc'"),
    ("history show 0", "'ID'", "0 is not in the range"),
    ("history diff 1", "'B'", "history diff --help"),
    ("status now", "now", "status --help"),
    ("config init /no/such/directory/b.toml", "/no/such/directory/b.toml", "No such file or directory"),
    ("ga4-emulator --port 70000", "--port", "70000"),
    ("ga4-emulator --fail explode", "'explode'", "503"),
    ("ga4-emulator --tls-key k.pem", "--tls-key", "--tls-cert"),
    ("status --config /no/such/file.toml", "/no/such/file.toml", "No such file"),
    ("preview --node mongooseim", "bridge.nodes", "name@host"),
    ("preview --node a@h --name me@host.example", "short and long names", "a@h"),
    ("preview --cookie-file /no/such/cookie", "/no/such/cookie", "No such file"),
]


@pytest.fixture(autouse=True)
def nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MONGOOSEIM", "DO_NOT_TRACK")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text(f'[bridge]\nstate_dir = "{tmp_path}/state"\nlog_dir = "{tmp_path}/log"\n')
    (tmp_path / ".erlang.cookie").write_text("c00kie")
    (tmp_path / ".erlang.cookie").chmod(0o400)
    monkeypatch.setenv("MONGOOSEIM_BRIDGE_CONFIG", str(tmp_path / "config.toml"))


def one_line(capsys: pytest.CaptureFixture[str], arguments: str, code: int, *words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (code, ""), err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("mongooseim-bridge: ")
    for word in words:
        assert word in err


@pytest.mark.parametrize(("arguments", "named", "meant"), COMMANDS + OPTIONS + VALUES, ids=lambda each: each)
def test_a_wrong_command_line(capsys: pytest.CaptureFixture[str], arguments: str, named: str, meant: str) -> None:
    one_line(capsys, arguments, USAGE, named, meant)


@pytest.mark.parametrize(
    ("text", "named", "meant"),
    [
        ('[bridge]\nnods = ["a@h"]', "config.toml:2: bridge.nods", "did you mean 'nodes'"),
        ("[brigde]\nreport = false", "brigde", "did you mean [bridge]"),
        ('[bridge]\nlog_level = "loud"', "bridge.log_level", "debug, info, warning, error"),
        ('[bridge]\nnew_facts = "keep"', "bridge.new_facts", "report, hold"),
        ('[bridge]\ncookie = "x"', "bridge.cookie", "bridge.cookie_file"),
        ("[bridge]\nhealth.port = 70000", "bridge.health.port", "65535"),
        ("[bridge\n", "config.toml", "line 1"),
    ],
    ids=lambda each: each,
)
def test_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, named: str, meant: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    one_line(capsys, "status", USAGE, named, meant)


@pytest.mark.parametrize(
    ("name", "value", "command", "code", "meant"),
    [
        ("MONGOOSEIM_BRIDGE_REPROT", "false", "status", USAGE, "did you mean MONGOOSEIM_BRIDGE_REPORT?"),
        ("MONGOOSEIM_BRIDGE_LOG_LEVEL", "loud", "status", USAGE, "debug, info, warning, error"),
        ("DO_NOT_TRACK", "1", "report", OFF, "preview"),
        ("MONGOOSEIM_BRIDGE_NODES", "a@localhost:1", "preview", NO_NODE, "port 1"),
        ("MONGOOSEIM_BRIDGE_STATE_DIR", "/dev/null", "consent accept", STATE, "bridge.state_dir"),
    ],
)
def test_a_wrong_environment(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    command: str,
    code: int,
    meant: str,
) -> None:
    monkeypatch.setenv(name, value)
    one_line(capsys, command, code, value.removesuffix(":1") if name.endswith(("DIR", "NODES")) else name, meant)
