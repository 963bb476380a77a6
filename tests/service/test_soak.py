"""The short form of `make soak`."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.timeout(180)
def test_some_seconds_of_failing_nodes_epmd_and_destination_leaves_every_report_exactly_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.service.soak", "--seconds", "13"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "soak passed" in done.stdout
