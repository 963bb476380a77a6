"""A running service: the installed command as a process, its log read while it runs."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.bridge import PROGRAM
from tests.support.forked import Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.support.bridge import Bridge

FAST = "report = true\ninitial_report = 100\nperiodic_report = 1000"
IDLE = "report = true\ninitial_report = 600000\nperiodic_report = 600000"
"""Nothing is due while the test runs."""
STOP_SECONDS = 10.0
"""What is promised for SIGTERM."""


def poll(what: str, found: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The first true value that `found` gives; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return value


@dataclass
class RunningService:
    """One `run`."""

    process: subprocess.Popen[bytes] | Forked
    log_file: Path
    bridge: Bridge

    def log(self, *events: str) -> list[dict[str, Any]]:
        """The log so far, or the lines of some events of it."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if not events or line["what"] in events]

    def wait_for(self, event: str, number: int = 1, seconds: float = 15.0) -> dict[str, Any]:
        """The `number`th line of an event, as soon as it is there."""
        try:
            lines = poll(
                f"{number} x {event}", lambda: len(found := self.log(event)) >= number and found, seconds=seconds
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_file.read_text()[-3000:]}") from None
        line: dict[str, Any] = lines[number - 1]
        return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def report(self) -> dict[str, Any]:
        """Have a report made; its line of the log."""
        before = len(self.log("report_collected"))
        self.send(signal.SIGUSR1)
        return self.wait_for("report_collected", before + 1)

    def ended(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code; it must not take longer."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.ended()


@contextlib.contextmanager
def running(
    bridge: Bridge,
    *options: str,
    check: bool = True,
    command: Sequence[str] = ("run",),
    user: tuple[int, int] | None = None,
    fork: bool = True,
    **environ: str,
) -> Iterator[RunningService]:
    """Start `run`, and stop it at the end; it must leave no traceback.

    Args:
        bridge: the installation.
        options: for all commands.
        check: whether it has to say that it has started, and to exit with 0.
        command: `run` or another one that runs until it is stopped.
        user: user and group to run it as, where this process is root, with the umask of our units.
        fork: whether to spare a start of the program.
        environ: further variables.
    """
    log_file = bridge.directory / f"log-{len(list(bridge.directory.glob('log-*')))}"
    log_file.touch()
    arguments = bridge.command("--log-format", "json", *options, *command)[len(bridge.program) :]
    process: subprocess.Popen[bytes] | Forked
    if fork and not user and bridge.program == (str(PROGRAM),):
        process = Forked(arguments, bridge.process_environ(**environ), log_file, log_file)
    else:
        line = [sys.executable, "-m", "tests.service.as_user", *map(str, user)] if user else bridge.program
        with log_file.open("wb") as out:
            process = subprocess.Popen(
                [*line, *arguments],
                env=bridge.process_environ(**environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                umask=0o077 if user else -1,
            )
    try:
        service = RunningService(process, log_file, bridge)
        if check:
            service.wait_for("service_started")
        yield service
        if check:
            code = service.stop() if process.poll() is None else process.returncode
            assert code == 0, log_file.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
    said = log_file.read_text()
    assert "Traceback" not in said, said[said.index("Traceback") :][:3000]
    # what asyncio and logging say of tasks and coroutines that were forgotten
    assert "was never" not in said, said[-3000:]


def rows(bridge: Bridge, query: str) -> list[tuple[Any, ...]]:
    """What is in the state file."""
    with contextlib.closing(sqlite3.connect(bridge.state_dir / "bridge.sqlite3", timeout=5)) as connection:
        return connection.execute(query).fetchall()


def sent(events: list[dict[str, Any]]) -> dict[int, int]:
    """How many events arrived of each report, by its time of collection."""
    counts: dict[int, int] = {}
    for event in events:
        counts[event["timestamp_micros"]] = counts.get(event["timestamp_micros"], 0) + 1
    return counts


def kept(bridge: Bridge) -> dict[int, int]:
    """How many events each report of the history has, by its time of collection."""
    return dict(rows(bridge, "SELECT collected_at, events FROM reports"))
