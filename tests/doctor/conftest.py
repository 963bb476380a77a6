"""What the doctor says of a bridge with its own directories, in front of what a test breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

CONFIGURATION, CLUSTER, DELIVERY = 2, 3, 1
"""Exit codes."""


@dataclass
class Examination:
    """What the doctor said."""

    code: int
    results: list[dict[str, Any]]

    def of(self, step: str, subject: str | None = None) -> dict[str, Any]:
        """The one result of a step."""
        (found,) = (
            each for each in self.results if each["step"] == step and (subject is None or each["subject"] == subject)
        )
        return found

    def all_of(self, step: str) -> list[dict[str, Any]]:
        return [each for each in self.results if each["step"] == step]

    def in_state(self, state: str) -> list[str]:
        return [each["step"] for each in self.results if each["state"] == state]

    def fails_at(self, step: str, *words: str, code: int) -> dict[str, Any]:
        """Exactly this step fails, with these words and a remedy."""
        assert self.in_state("failure") == [step], self.results
        assert self.code == code
        return self._said(step, "failure", words)

    def warns_at(self, step: str, *words: str) -> dict[str, Any]:
        """Nothing fails, and exactly this step warns, with these words and a remedy."""
        assert self.in_state("failure") == [], self.results
        assert self.in_state("warning") == [step], self.results
        assert self.code == 0
        return self._said(step, "warning", words)

    def _said(self, step: str, state: str, words: Sequence[str]) -> dict[str, Any]:
        (result,) = (each for each in self.all_of(step) if each["state"] == state)
        for word in words:
            assert word in f"{result['found']} {result['advice']}", result
        assert result["advice"]
        return result


def examined(bridge: Bridge, *arguments: str, **environ: str) -> Examination:
    """Run the doctor."""
    done = bridge.run(*arguments, "doctor", "--format", "json", **environ)
    assert "Traceback" not in done.err
    return Examination(done.code, done.json()["steps"])


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """One for all, since the doctor sends nothing."""
    with running_emulator(tmp_path_factory.mktemp("emulator") / "record.jsonl") as running:
        yield running


@pytest.fixture
def reporting_to(tmp_path: Path, default_cluster: StubCluster) -> Callable[..., Bridge]:
    """`reporting_to("http://…")` reports there."""

    def make(endpoint: str, settings: str = "") -> Bridge:
        return Bridge(tmp_path / "bridge", default_cluster.environ, (endpoint,), settings=settings)

    return make
