"""What is wrong is said in one clear line on stderr, with the right exit code, in time, and without a traceback."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.bridge import Bridge, Result
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from erlang_stubs.cluster import StubCluster

SECONDS = 10


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster) -> Bridge:
    return Bridge(tmp_path / "bridge", default_cluster.environ)


def fails(bridge: Bridge, code: int, *words: str, arguments: tuple[str, ...] = (), **environ: str) -> Result:
    """Run `report`: it must fail in time with this code and one line that has the words, and leave nothing behind."""
    began = time.monotonic()
    result = bridge.run(*arguments, "report", **environ)
    assert time.monotonic() - began < SECONDS
    assert result.code == code, result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) == 1, result.err
    for word in words:
        assert word in result.err
    assert not (bridge.log_dir / "system_metrics_report.json").exists()
    return result


def test_a_wrong_cookie(bridge: Bridge, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong-cookie"
    wrong.write_text("not-the-s3cr3t-cookie")
    wrong.chmod(0o400)
    result = fails(bridge, 3, "cookie is wrong", "mongooseim1@localhost", arguments=("--cookie-file", str(wrong)))
    assert "not-the-s3cr3t-cookie" not in result.err


def test_a_cookie_file_that_others_can_read(bridge: Bridge, tmp_path: Path) -> None:
    exposed = tmp_path / "exposed"
    exposed.write_text("whatever")
    exposed.chmod(0o644)
    fails(bridge, 2, "chmod 0400", str(exposed), arguments=("--cookie-file", str(exposed)))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("--node nobody@localhost", 3, ["nobody@localhost", "not registered", "it lists mongooseim1, mongooseim2"]),
        ("--node mongooseim1@localhost:1", 3, ["refuses", "port 1"]),
        ("--node mongooseim@no-such-host", 3, ["does not resolve", "no-such-host"]),
        ("--node a@h:99999", 2, ["bridge.nodes", "name@host"]),
    ],
)
def test_a_node_that_cannot_be_reached_or_named(bridge: Bridge, arguments: str, code: int, words: list[str]) -> None:
    fails(bridge, code, *words, arguments=tuple(arguments.split()))


def test_a_host_without_epmd(bridge: Bridge) -> None:
    fails(bridge, 3, "no EPMD answers", "ERL_EPMD_PORT", ERL_EPMD_PORT="1")


def test_a_port_that_says_nothing_or_is_no_nodes(bridge: Bridge, default_cluster: StubCluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the kernel takes connections for it
        node = f"mongooseim1@localhost:{mute.getsockname()[1]}"
        fails(bridge, 3, "did not answer in time", arguments=("--node", node))
    fails(bridge, 3, "node1@localhost", arguments=("--node", f"node1@localhost:{default_cluster.epmd_port}"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[bridge]\nnodes = []", ["bridge.nodes", "config.toml:"]),
        (
            '[services.service_mongoose_system_metrics]\nreport = true\ntracking_id.id = "G-ABCD"',
            ["tracking_id", "no secret", "secret_file"],
        ),
    ],
)
def test_a_configuration_file_that_cannot_be_used(bridge: Bridge, text: str, words: list[str]) -> None:
    bridge.environ = {name: value for name, value in bridge.environ.items() if not name.endswith("_NODES")}
    bridge.config.write_text(text)
    fails(bridge, 2, *words)


def test_a_log_directory_that_cannot_be_written(bridge: Bridge) -> None:
    bridge.log_dir.parent.mkdir(exist_ok=True)
    bridge.log_dir.write_text("a file, not a directory")
    result = bridge.run("report")
    assert result.code == 5
    assert "bridge.log_dir" in result.err
    assert "Traceback" not in result.err


def test_a_state_directory_that_cannot_be_written(bridge: Bridge) -> None:
    bridge.state_dir.write_text("a file, not a directory")
    fails(bridge, 5, str(bridge.state_dir))


def test_reporting_that_is_switched_off_sends_nothing_and_preview_still_works(bridge: Bridge) -> None:
    fails(bridge, 4, "DO_NOT_TRACK", DO_NOT_TRACK="1")
    assert bridge.run("report", DO_NOT_TRACK="0").code == 0
    (bridge.log_dir / "system_metrics_report.json").unlink()
    bridge.service = "report = false"
    bridge.configure()
    fails(bridge, 4, "report = false")
    assert bridge.run("preview").code == 0


@pytest.mark.parametrize("command", ["status", "preview", "report --help"])
def test_a_full_output_is_told_in_one_line(bridge: Bridge, command: str) -> None:
    done = with_output_to(Path("/dev/full"), bridge, *command.split())
    assert done.returncode == 1
    assert (
        done.stderr
        == "mongooseim-bridge: the output cannot be written: No space left on device; give it another place\n"
    )


def test_a_report_that_is_delivered_is_no_failure_because_its_summary_cannot_be_written(
    default_cluster: StubCluster, tmp_path: Path
) -> None:
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, [emulator.url])
        done = with_output_to(Path("/dev/full"), bridge, "report")
        assert done.returncode == 0
        assert "what=summary_not_written" in done.stderr
        assert emulator.accepted()


def with_output_to(path: Path, bridge: Bridge, *arguments: str) -> subprocess.CompletedProcess[str]:
    with path.open("w") as output:
        command = bridge.command(*arguments)
        return subprocess.run(
            command,
            env=bridge.process_environ(),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
