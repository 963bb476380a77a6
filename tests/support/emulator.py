"""The emulator as a program of its own, for tests that are not asyncio or that run other programs against it."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = Path(sys.executable).with_name("mongooseim-bridge")
START_SECONDS = 15.0


@dataclass(frozen=True)
class RunningEmulator:
    """A running `ga4-emulator`: its URL and what it recorded."""

    url: str
    record: Path
    process: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        return self.url.removesuffix("/mp/collect")

    def events(self) -> list[dict[str, Any]]:
        """The record so far, one dict per event; a line that is still being written is left out."""
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def accepted(self) -> list[dict[str, Any]]:
        """The events that GA4 would have taken."""
        return [event for event in self.events() if event["accepted"]]

    def wait_for(self, enough: Callable[[list[dict[str, Any]]], bool], seconds: float = 10.0) -> list[dict[str, Any]]:
        """The record as soon as it is enough; fails with the record after so many seconds."""
        deadline = time.monotonic() + seconds
        while not enough(events := self.events()):
            assert time.monotonic() < deadline, f"not enough after {seconds} s: {events}"
            time.sleep(0.02)
        return events

    def fail(self, modes: str) -> None:
        """Change how it fails from now on, e.g. `500*3`; "" lets it recover. For http emulators only."""
        assert urlsplit(self.url).scheme == "http"
        request = urllib.request.Request(f"{self.base_url}/emulator/fail", data=modes.encode(), method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            assert answer.status == 200


@contextlib.contextmanager
def running_emulator(record: Path, *options: str) -> Iterator[RunningEmulator]:
    """Start `ga4-emulator --port 0 --record RECORD OPTIONS…`, wait until it listens, stop it at the end.

    Args:
        record: file that it writes; see `RunningEmulator.events`.
        options: further options, e.g. "--fail", "500*3", "--tls-cert", path.
    """
    command = [PROGRAM, "ga4-emulator", "--port", "0", "--quiet", "--record", record, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield RunningEmulator(_url(process), record, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode == 0, f"the emulator ended with {process.returncode}"


def _url(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline().decode() if ready else ""
    assert line.startswith("listening on "), f"the emulator did not start: {line!r}"
    return line.removeprefix("listening on ").strip()


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[RunningEmulator]:
    """An emulator of the test's own that takes everything."""
    with running_emulator(tmp_path / "record.jsonl") as running:
        yield running
