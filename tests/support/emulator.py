"""The emulator as a program of its own, for tests that are not asyncio or that run other programs against it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.forked import Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_SECONDS = 15.0


@dataclass(frozen=True)
class RunningEmulator:
    """A running `ga4-emulator`: its URL and what it recorded."""

    url: str
    record: Path

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
    arguments = ["ga4-emulator", "--port", "0", "--quiet", "--record", record, *options]
    with tempfile.TemporaryDirectory() as directory:
        said = Path(directory) / "said"
        process = Forked(list(map(str, arguments)), os.environ, said, said)
        try:
            yield RunningEmulator(_url(process, said), record)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 0, f"the emulator ended with {code}: {said.read_text()}"


def _url(process: Forked, said: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if said.exists() and (found := re.match(r"listening on (\S+)\n", said.read_text())):
            return found[1]
        time.sleep(0.01)
    raise AssertionError(f"the emulator did not start: {said.read_text()!r}")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[RunningEmulator]:
    """An emulator of the test's own that takes everything."""
    with running_emulator(tmp_path / "record.jsonl") as running:
        yield running
