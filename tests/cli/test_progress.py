"""While something takes longer than a second on a terminal, stderr says what is waited for, and takes it back."""

from __future__ import annotations

import re
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator
from tests.support.terminal import on_a_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster

ERASED = "\r\x1b[K"
TERMINAL = {"TERM": "xterm"}


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections, as the kernel does for it, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


def left_on_screen(printed: str) -> str:
    """What a terminal shows at the end: what is behind the last return and erasure of each line."""
    return "\n".join(line.rpartition(ERASED)[2] for line in printed.split("\r\n"))


def test_preview_names_the_silent_nodes_and_takes_that_back(
    default_cluster: StubCluster, mute: int, tmp_path: Path
) -> None:
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ)
    hung = f"hung@localhost:{mute}"
    command = bridge.command("preview", "--node", f"{default_cluster.entry}", "--node", hung)
    with on_a_terminal(command, bridge.process_environ(**TERMINAL)) as terminal:
        printed, code = terminal.read_to_the_end()
    assert code == 0
    assert f"{ERASED}waiting for hung@localhost" in printed
    assert "waiting" not in left_on_screen(printed)
    assert "host_count" in left_on_screen(printed)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}])
def test_where_stderr_is_no_terminal_nothing_is_said(
    default_cluster: StubCluster, mute: int, tmp_path: Path, environ: dict[str, str]
) -> None:
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ)
    command = bridge.command("nodes", "--node", default_cluster.entry, "--node", f"hung@localhost:{mute}")
    if environ:
        with on_a_terminal(command, bridge.process_environ(**environ)) as terminal:
            shown = terminal.read_to_the_end()[0]
    else:
        done = subprocess.run(
            command, env=bridge.process_environ(**TERMINAL), capture_output=True, text=True, timeout=30, check=False
        )
        shown = done.stdout + done.stderr
    assert "not asked" in shown
    assert "waiting" not in shown


def test_report_says_how_many_batches_are_left_and_logs_between(default_cluster: StubCluster, tmp_path: Path) -> None:
    with running_emulator(tmp_path / "record.jsonl", "--fail", "503*1", "--fail", "slow=0.7") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,))
        with on_a_terminal(bridge.command("report"), bridge.process_environ(**TERMINAL), columns=200) as terminal:
            printed, code = terminal.read_to_the_end()
    assert code == 0
    assert re.search(r"waiting for G-AAAA1 at \S+: \d+ batches left", printed)
    shown = left_on_screen(printed)
    assert "waiting" not in shown
    assert all(line.startswith(("when=", "report ", "JSON log", "G-AAAA1", "note:", "")) for line in shown.splitlines())


def test_doctor_prints_each_step_as_it_is_done(default_cluster: StubCluster, mute: int, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (f"http://127.0.0.1:{mute}/mp/collect",))
    with on_a_terminal(bridge.command("doctor"), bridge.process_environ(**TERMINAL, NO_COLOR="1")) as terminal:
        early = terminal.read_until("own reporter")
        late, code = terminal.read_to_the_end()
    assert "waiting for G-AAAA1 at" in late
    assert re.search(r"failure +(connection|answer)", late)
    assert "waiting" not in left_on_screen(early + late).partition("delivery: G-AAAA1")[2]
    assert code == 1
