"""No password of the cluster crosses the connection, and no secret of ours comes out anywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from erlang_stubs.cluster import COOKIE, CUSTOM_MARKER, SECRET_MARKER
from tests.support.bridge import API_SECRET, Bridge
from tests.support.emulator import running_emulator
from tests.support.recorder import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from erlang_stubs.cluster import StubCluster


def distribution_port(cluster: StubCluster) -> int:
    """Where EPMD says that the first node listens."""
    name = cluster.entry.partition("@")[0]
    names = subprocess.run(
        ["epmd", "-port", str(cluster.epmd_port), "-names"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    (line,) = (line for line in names.splitlines() if line.startswith(f"name {name} "))
    return int(line.split()[-1])


@pytest.mark.parametrize("scenario", ["default", "hostile", "6.1", "app_stopped"])
def test_no_password_of_the_configuration_crosses_the_connection(
    tmp_path: Path, start_cluster: Callable[..., StubCluster], scenario: str
) -> None:
    cluster = start_cluster(scenario, 1)
    held = cluster.nodes[0].eval("lists:flatten(io_lib:format(\"~0p\", [persistent_term:get()]))")  # fmt: skip
    assert scenario == "app_stopped" or SECRET_MARKER in _printed(held)
    with recording(distribution_port(cluster)) as recorder:
        bridge = Bridge(tmp_path / "bridge", {**cluster.environ, "MONGOOSEIM_BRIDGE_NODES": ""})
        results = [
            bridge.run("--node", f"{cluster.entry}:{recorder.port}", command)
            for command in ("report", "preview", "nodes")
        ]
    assert {result.code for result in results} == {3 if scenario == "app_stopped" else 0}
    assert len(recorder.received) > 500, "the answers went through the recorder"
    assert b"uptime" in recorder.received
    assert SECRET_MARKER.encode() not in recorder.received
    assert SECRET_MARKER not in "".join(result.out + result.err for result in results)
    for result in results[:2]:
        assert CUSTOM_MARKER not in result.out


def _printed(term: str) -> str:
    """A string as `~0tp` prints it, which may be a list of numbers when it holds something unprintable."""
    if term.startswith("["):
        return "".join(chr(int(number)) for number in term.strip("[]").split(",") if int(number) < 0x110000)
    return term


@pytest.mark.parametrize("level", ["debug", "info"])
def test_cookie_and_api_secret_come_out_nowhere(tmp_path: Path, default_cluster: StubCluster, level: str) -> None:
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url, "http://127.0.0.1:1/mp/collect"))
        said = ""
        for arguments in (
            ("config", "check"),
            ("config", "show"),
            ("nodes",),
            ("preview",),
            ("preview", "--format", "ga4"),
            ("report",),
            ("report", "--format", "json"),
        ):
            for form in ("text", "json"):
                result = bridge.run(
                    "--log-level", level, "--log-format", form, *arguments, MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="500"
                )
                assert result.code in {0, 1}, result.err
                said += result.out + result.err
        kept = b"".join(path.read_bytes() for path in bridge.state_dir.rglob("*") if path.is_file())
        kept += (bridge.log_dir / "system_metrics_report.json").read_bytes()
        kept += (tmp_path / "record.jsonl").read_bytes()
    for secret in (COOKIE, API_SECRET):
        assert secret not in said
        assert secret.encode() not in kept


def test_cookie_and_api_secret_are_not_in_the_process_list(tmp_path: Path, default_cluster: StubCluster) -> None:
    with running_emulator(tmp_path / "record.jsonl", "--fail", "hang") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,))
        with subprocess.Popen(
            bridge.command("report"), env=bridge.process_environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                # The log line says that it is past collecting, so that cookie and secret are both in its memory.
                assert process.stderr
                assert b"report_collected" in process.stderr.readline()
                listed = (
                    Path(f"/proc/{process.pid}/cmdline").read_bytes()
                    + Path(f"/proc/{process.pid}/environ").read_bytes()
                )
            finally:
                process.kill()
        assert COOKIE.encode() not in listed
        assert API_SECRET.encode() not in listed
