"""The doctor as a whole: all is well, what it must not do, its forms, its documentation, its time."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.app import Installation
from bridge.doctor.examine import TOTAL_SECONDS, examine
from bridge.doctor.steps import STEPS
from bridge.threads import run
from erlang_stubs.cluster import COOKIE
from tests.doctor.conftest import Examination, examined
from tests.support.bridge import API_SECRET, SECONDS, Bridge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.doctor.steps import Sheet
    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"


def files_below(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_where_all_is_well_every_step_is_ok_or_has_nothing_to_try(bridge: Bridge, emulator: RunningEmulator) -> None:
    found = examined(bridge)
    assert found.code == 0
    assert set(found.in_state("skipped")) == {"TLS files", "TLS", "proxy", "endpoint TLS"}
    assert found.in_state("failure") == found.in_state("warning") == []
    assert [each["step"] for each in found.results] == [name for _, steps in STEPS for name in steps]
    assert "mongooseim2@localhost" in found.of("members")["found"]
    assert "6.8.0" in found.of("MongooseIM")["found"]


def test_it_sends_no_report_and_changes_nothing(bridge: Bridge, emulator: RunningEmulator) -> None:
    sent = emulator.events()
    assert examined(bridge).code == 0
    assert not bridge.state_dir.exists()
    assert not bridge.log_dir.exists()
    assert emulator.events() == sent
    assert bridge.run("report").code == 0
    before, sent = files_below(bridge.directory), emulator.events()
    assert examined(bridge).code == 0
    assert files_below(bridge.directory) == before
    assert emulator.events() == sent


def test_with_reporting_off_the_endpoint_is_not_even_looked_at(bridge: Bridge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        bridge.endpoints = (f"http://127.0.0.1:{server.getsockname()[1]}/mp/collect",)
        bridge.configure()
        found = examined(bridge, DO_NOT_TRACK="1")
        with pytest.raises(BlockingIOError):
            server.accept()
    found.warns_at("reporting", "DO_NOT_TRACK")
    assert "DO_NOT_TRACK" in found.of("validator")["found"]
    assert found.of("members")["state"] == "ok"


def test_each_section_with_a_failure_has_its_exit_code_and_the_first_one_counts(bridge: Bridge) -> None:
    bridge.endpoints = ("http://127.0.0.1:1/mp/collect",)
    bridge.configure()
    assert examined(bridge).code == 1
    assert examined(bridge, ERL_EPMD_PORT="1").code == 3
    assert examined(bridge, MONGOOSEIM_BRIDGE_COOKIE_FILE="/nowhere", ERL_EPMD_PORT="1").code == 2
    said = " ".join(bridge.run("doctor", "--help").out.split())
    assert "2 configuration, 3 cluster, 1 delivery" in said


def test_of_two_users_with_one_state_directory_each_examines_what_it_has_the_secret_of(bridge: Bridge) -> None:
    bridge.state_dir.mkdir()
    no_cookie = {"MONGOOSEIM_BRIDGE_COOKIE_FILE": "/nowhere"}
    for mode, code in ((0o700, 2), (0o2770, 0)):
        bridge.state_dir.chmod(mode)
        found = examined(bridge, **no_cookie)
        assert found.code == code
    assert {found.of(step)["state"] for step in ("destinations", "queue", "answer")} == {"ok"}
    for step in ("cookie file", "node names", "host name", "members", "validator"):
        assert found.of(step)["state"] == "skipped"
    assert "run --collect-only" in found.of("cookie")["found"]
    (bridge.directory / "api-secret").unlink()
    found = examined(bridge)
    assert found.code == 0
    assert {found.of(step)["state"] for step in ("cookie file", "cookie", "facts", "queue")} == {"ok"}
    assert found.of("destinations")["state"] == found.of("answer")["state"] == "skipped"
    assert "user of `deliver`" in found.of("answer")["found"]
    found = examined(bridge, **no_cookie)
    assert found.code == 2
    assert found.in_state("failure") == ["cookie file", "destinations"]


def test_what_cannot_be_tried_is_skipped_with_the_reason(bridge: Bridge) -> None:
    found = examined(bridge, ERL_EPMD_PORT="1")
    for step in ("distribution port", "cookie", "hidden"):
        assert found.of(step)["state"] == "skipped"
        assert "EPMD" in found.of(step)["found"]
    assert found.of("validator")["state"] == "skipped"
    assert "cluster" in found.of("validator")["found"]
    assert found.of("answer")["state"] == "ok"


def test_of_two_entry_nodes_each_is_told_about(bridge: Bridge, default_cluster: StubCluster) -> None:
    found = examined(bridge, "--node", "nobody@localhost", "--node", default_cluster.entry)
    assert found.of("EPMD", "nobody@localhost")["state"] == "failure"
    assert found.of("cookie", "nobody@localhost")["state"] == "skipped"
    assert found.of("own reporter", default_cluster.entry)["state"] == "ok"
    assert found.of("validator")["state"] == "ok"
    assert found.code == 3


def test_the_table_fits_a_hundred_columns_and_tells_all_that_the_json_does(bridge: Bridge) -> None:
    bridge.endpoints = (*bridge.endpoints, "https://a-host-with-a-rather-long-name.of-a-company.invalid/mp/collect")
    bridge.configure()
    arguments = ("--node", "nobody-of-this-name@localhost", "doctor")
    table = bridge.run(*arguments).out
    found = examined(bridge, *arguments[:-1])
    assert max(map(len, table.splitlines())) <= 100
    text = " ".join(table.split())
    for result in found.results:
        if result["state"] in {"failure", "warning"}:
            assert result["step"] in text
            assert " ".join(result["found"].split()) in text
            assert " ".join(result["advice"].split()) in text
    counts = f"{len(found.in_state('failure'))} failure, {len(found.in_state('skipped'))} skipped"
    assert text.endswith(counts)
    assert "\x1b" not in table


def test_no_secret_is_printed(bridge: Bridge) -> None:
    password = "pr0xy-passw0rd"
    proxy = f"http://user:{password}@127.0.0.1:1"
    said = ""
    for form, arguments, environ in (
        ("table", (), {"HTTP_PROXY": proxy}),
        ("json", ("--node", "nobody@localhost"), {"HTTP_PROXY": proxy, "NO_PROXY": "*"}),
        ("json", ("--cookie-file", f"{bridge.directory}/api-secret"), {"MONGOOSEIM_BRIDGE_PROXY": proxy}),
    ):
        done = bridge.run("--log-level", "debug", *arguments, "doctor", "--format", form, **environ)
        said += done.out + done.err
    assert "through proxy 127.0.0.1:1" in said
    for secret in (COOKIE, API_SECRET, password):
        assert secret not in said


def test_the_page_and_the_steps_are_the_same() -> None:
    page: list[tuple[str, str, str]] = []
    section = ""
    for line in DOCS.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif section and (cells := re.fullmatch(r"\| (.+?) \| (.+?) \| (.+) \|", line)) and cells[1] != "step":
            page.append((section, cells[1], cells[2]))
            assert len(cells[3]) > 10
    assert page == [(str(section), name, proves) for section, steps in STEPS for name, proves in steps.items()]


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections, as the kernel does for it, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


def test_it_ends_in_time_when_everything_hangs(bridge: Bridge, mute: int) -> None:
    bridge.endpoints = (f"https://127.0.0.1:{mute}/mp/collect", f"http://127.0.0.1:{mute}/collect")
    bridge.configure()
    nodes = ("--node", "a@localhost", "--node", f"b@localhost:{mute}")
    began = time.monotonic()
    environ = {"ERL_EPMD_PORT": str(mute), "HTTPS_PROXY": f"http://127.0.0.1:{mute}"}
    done = bridge.start(*nodes, "doctor", "--format", "json", **environ)
    assert time.monotonic() - began < SECONDS
    found = Examination(done.code, done.json()["steps"])
    assert "EPMD at port" in found.of("EPMD", "a@localhost")["found"]
    assert found.of("handshake", "b@localhost")["state"] == "failure"
    assert "failure" in {each["state"] for each in found.all_of("answer") + found.all_of("connection")}
    assert found.code == 3


async def test_each_phase_of_an_attempt_is_known_as_soon_as_it_has_succeeded(bridge: Bridge, mute: int) -> None:
    sheets: list[Sheet] = []
    installation = Installation(bridge.config, {"bridge.nodes": [f"a@localhost:{mute}"]}, bridge.process_environ())
    work = asyncio.create_task(examine(installation, sheets))
    async with asyncio.timeout(10):
        while not any(result.step == "distribution port" for sheet in sheets for result in sheet.results):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (entry,) = (sheet for sheet in sheets if sheet.subject == "a@localhost")
    assert not entry.complete
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


def test_a_name_look_up_that_never_ends_holds_up_nobody(
    bridge: Bridge, default_cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up cannot be cancelled; with asyncio's own threads the program would wait for it at its end."""
    released = threading.Event()
    answer = socket.getaddrinfo

    def hang(host: str, *rest: object, **options: object) -> object:
        return released.wait(60) and None if host == "localhost" else answer(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    environ = bridge.process_environ()
    began = time.monotonic()
    try:
        results = run(examine(Installation(bridge.config, {}, environ)))
    finally:
        took = time.monotonic() - began
        released.set()
    assert took < TOTAL_SECONDS
    failed = [result for result in results if result.state == "failure"]
    assert [result.step for result in failed] == ["host name"]
    assert "took more than" in failed[0].found


def test_json_has_every_step(bridge: Bridge) -> None:
    bridge.config.write_text("[bridge\n")
    found = examined(bridge)
    results = found.results
    assert found.code == 2
    assert set(results[0]) == {"section", "subject", "step", "state", "found", "advice"}
    assert "line 1" in results[0]["found"]
    assert {each["state"] for each in results[1:]} == {"skipped"}
