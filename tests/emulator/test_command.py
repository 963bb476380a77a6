"""`ga4-emulator` as people and other tests run it: a process with options, lines, signals and exit codes."""

import json
import select
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.emulator import command
from bridge.emulator.faults import FaultKind
from tests.support.bridge import PROGRAM
from tests.support.emulator import running_emulator
from tests.support.forked import run_forked

PARAMS = {"value": 3, "session_id": "1", "engagement_time_msec": 100}
EVENT = {"name": "host_count", "params": PARAMS}


def post(url: str, *events: object, stream: str = "G-TEST") -> int:
    body = json.dumps({"client_id": "1.2", "events": events}).encode()
    request = urllib.request.Request(f"{url}?measurement_id={stream}&api_secret=hush-hush", body, method="POST")
    try:
        answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return int(answer.status)


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """The command with the options of the test's parameter, its stdout in a pipe."""
    command = [PROGRAM, "ga4-emulator", *request.param]
    # Unbuffered on our side: a line that a buffer had taken already would not wake `select`.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        yield process
        process.kill()


def line_of(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    assert select.select([process.stdout], [], [], 15)[0], "no line within 15 s"
    return process.stdout.readline().decode().rstrip("\n")


def address_of(process: subprocess.Popen[bytes]) -> str:
    """The endpoint, of the first line; the second one names the page."""
    url = line_of(process).removeprefix("listening on ")
    assert line_of(process) == f"page: {url.removesuffix('mp/collect')}"
    return url


def ended(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    return process.returncode, errors.decode()


@pytest.mark.parametrize("started", [[]], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_first_and_ends_cleanly(started: subprocess.Popen[bytes], number: int) -> None:
    first = line_of(started)
    assert first.startswith("listening on http://127.0.0.1:")
    assert first.endswith("/mp/collect")
    assert ended(started, number) == (0, "")


@pytest.mark.parametrize("started", [[]], indirect=True)
def test_live_lines_show_what_is_taken_and_why_not(started: subprocess.Popen[bytes]) -> None:
    url = address_of(started)
    assert post(url, EVENT, {"name": "bad\x1b[31m", "params": {**PARAMS, "value": None}}) == 204
    accepted, rejected, name, value = (line_of(started) for _ in range(4))
    assert accepted.split()[1:] == "accepted G-TEST host_count value=3 session_id=1 engagement_time_msec=100".split()
    assert rejected.split()[1:4] == ["rejected", "G-TEST", r"bad\x1b[31m"]
    assert name.strip().startswith("NAME_INVALID: Event at index: [1]")
    assert value.strip().startswith("VALUE_INVALID: Event at index: [1] has param [value] with null")
    assert ended(started) == (0, "")


@pytest.mark.parametrize("started", [["--fail", "500*1", "--fail", "503"]], indirect=True)
def test_live_lines_show_that_a_fault_is_on_purpose(started: subprocess.Popen[bytes]) -> None:
    url = address_of(started)
    for status in (500, 503):
        assert post(url, EVENT) == status
        assert f"{status} on purpose, 1 events" in line_of(started)


@pytest.mark.parametrize("started", [["--format", "json"]], indirect=True)
def test_json_lines_are_json_from_the_first(started: subprocess.Popen[bytes]) -> None:
    first = json.loads(line_of(started))
    url = first["listening"]
    assert first["page"] == url.removesuffix("mp/collect")
    assert post(url, EVENT) == 204
    event = json.loads(line_of(started))
    assert (event["name"], event["accepted"], event["secret_given"]) == ("host_count", True, True)
    assert "hush" not in json.dumps(event)


@pytest.mark.parametrize("started", [[]], indirect=True)
def test_it_goes_on_when_nobody_reads_its_lines(started: subprocess.Popen[bytes]) -> None:
    url = address_of(started)
    assert started.stdout
    started.stdout.close()
    assert [post(url, EVENT) for _ in range(3)] == [204] * 3
    started.send_signal(signal.SIGTERM)
    assert started.wait(10) == 0
    assert started.stderr
    assert started.stderr.read() == b""


def test_the_helper_for_other_tests_reads_the_record_and_switches_faults(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("right\n")  # post has another one
    secret = ("--measurement-id", "G-OTHER", "--api-secret-file", str(tmp_path / "secret"))
    with running_emulator(tmp_path / "events.jsonl", "--fail", "500*1", *secret) as emulator:
        assert post(emulator.url, EVENT) == 500
        assert post(emulator.url, EVENT, {"name": "_bad"}) == 204
        emulator.wait_for(lambda events: len(events) == 2)
        assert [event["name"] for event in emulator.accepted()] == ["host_count"]
        emulator.fail("429:retry-after=1")
        assert post(emulator.url, EVENT) == 429
        emulator.fail("")
        assert post(emulator.url, EVENT, stream="G-OTHER") == 204
        assert [reason.partition(":")[0] for reason in emulator.events()[-1]["reasons"]] == ["WRONG_SECRET"]
    assert "hush" not in emulator.record.read_text()


def refused(*options: str, code: int = 2) -> str:
    """The one line on stderr with which the command does not start."""
    done, out, err = run_forked(["ga4-emulator", *options], {}, 15)
    assert (done, out) == (code, "")
    return err.strip().splitlines()[-1]


def test_options_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refused("--port", str(port), code=6)
    no_pem = tmp_path / "cert.pem"
    no_pem.write_text("not a certificate")
    assert "'explode' is no way to fail" in refused("--fail", "explode")
    assert f"cannot record to {tmp_path}/nowhere/x" in refused("--record", f"{tmp_path}/nowhere/x")
    assert f"cannot use {no_pem} for TLS" in refused("--tls-cert", str(no_pem))
    assert "--tls-key needs --tls-cert" in refused("--tls-key", str(no_pem))


def test_every_option_and_fault_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ga4-emulator.md").read_text()
    options = [option for parameter in command.params for option in parameter.opts]
    assert "--fail" in options
    assert [option for option in options if f"`{option}" not in page] == []
    assert [kind.value for kind in FaultKind if kind is not FaultKind.STATUS and f"| `{kind.value}" not in page] == []
