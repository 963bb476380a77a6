"""What `doctor` looks at, step by step, and how a step went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable


class State(StrEnum):
    """How a step went."""

    OK = "ok"
    WARNING = "warning"
    """Reports are made and delivered, but something should be looked at."""
    FAILURE = "failure"
    """No report can be made, kept or delivered as long as this is so."""
    SKIPPED = "skipped"
    """There is nothing to try, or it cannot be tried."""


class Section(StrEnum):
    """Which side a step belongs to; a failure's side decides the exit code."""

    CONFIGURATION = "configuration"
    CLUSTER = "cluster"
    DELIVERY = "delivery"


CONFIGURATION: Final = {
    "configuration": "file, environment and options can be read, every key and value is known",
    "node names": "they are names, and the own one is short or long as theirs are",
    "cookie file": "a cookie is there, and nobody else can read it",
    "TLS files": "CA, certificate and key can be loaded; skipped for plain TCP",
    "destinations": "each has its API secret; proxy and CA file are usable",
}
ENTRY: Final = {
    "host name": "the host part of the node's name has an address",
    "EPMD": "the port mapper of that host answers and knows the node; skipped where the port is given",
    "distribution port": "something listens on the node's port, and no firewall is in between",
    "TLS": "both sides speak TLS and trust each other's certificates, or both speak plain TCP",
    "handshake": "it is the node that was meant, and it takes our name, flags and protocol version",
    "cookie": "the cookie is the node's",
    "remote call": "a function can be called in the node, with a group leader that lives there",
    "hidden": "the node has us in nodes(hidden) and not in nodes(), so nobody counts us as a member",
    "MongooseIM": "the application runs in the node",
    "release": "it is one of 6.1.0 to 6.8.0",
    "facts": "every fact of a report could be asked",
    "own reporter": "MongooseIM's own reporter is off, so nothing is counted twice",
}
MEMBERS: Final = {
    "members": "every member that the nodes see can be asked too; one warning each",
    "other bridges": "no other bridge reports this cluster",
}
STORAGE: Final = {
    "reporting": "the operator has not switched it off",
    "log directory": "system_metrics_report.json can be written",
    "state directory": "the queue can be written",
    "disk space": "there is room for the queue at its largest",
    "queue": "its file is whole, nothing waits for long, nothing was refused or given up lately",
}
ROUTE: Final = {
    "endpoint host": "the endpoint's host has an address; the proxy's, where one is configured",
    "connection": "endpoint or proxy take a connection",
    "proxy": "the configured proxy lets us through; skipped without one",
    "endpoint TLS": "the endpoint's certificate is trusted",
    "answer": "the endpoint speaks HTTP",
    "clock": "this machine's clock and the endpoint's agree",
    "validator": "GA4's validator takes the current report; skipped where there is none",
}
STEPS: Final = (
    (Section.CONFIGURATION, CONFIGURATION),
    (Section.CLUSTER, ENTRY),
    (Section.CLUSTER, MEMBERS),
    (Section.DELIVERY, STORAGE),
    (Section.DELIVERY, ROUTE),
)
"""Every step in order, by name, with what is known when it is ok; docs/doctor.md has the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the examination: which step of what, and what was seen."""

    section: Section
    subject: str
    """The node or the destination; empty where there is only one of a kind."""
    step: str
    state: State
    found: str
    advice: str = ""


class Sheet:
    """The results of the steps on one subject, in their order; a step may have several."""

    def __init__(self, section: Section, steps: Iterable[str], subject: str = "") -> None:
        self.section = section
        self.subject = subject
        self._results: dict[str, list[Result]] = {step: [] for step in steps}

    @property
    def results(self) -> list[Result]:
        """What is known, up to the first step without a result."""
        return [result for results in takewhile(bool, self._results.values()) for result in results]

    @property
    def complete(self) -> bool:
        """Whether every step has a result."""
        return all(self._results.values())

    def ok(self, step: str, found: str) -> None:
        """All is as it should be, as far as nothing else is known."""
        if not self._results[step]:
            self._add(step, State.OK, found)

    def warning(self, step: str, found: str, advice: str) -> None:
        """Something should be looked at."""
        self._add(step, State.WARNING, found, advice)

    def failure(self, step: str, found: str, advice: str) -> None:
        """It does not work."""
        self._add(step, State.FAILURE, found, advice)

    def skipped(self, step: str, reason: str) -> None:
        """There was nothing to try, as far as nothing else is known."""
        if not self._results[step]:
            self._add(step, State.SKIPPED, reason)

    def failed(self, step: str, error: BridgeError) -> None:
        """An error, with its own remedy."""
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self.failure(step, problem.text, problem.remedy)
        else:
            self.failure(step, error.what, error.remedy)

    def judged(self, step: str, fine: str, complaints: Iterable[tuple[str, str]]) -> None:
        """A warning for each complaint, which is what was seen and what to do; where there is none, all is fine."""
        for found, advice in complaints:
            self.warning(step, found, advice)
        self.ok(step, fine)

    def stopped(self, step: str, error: BridgeError) -> None:
        """A step without which the rest cannot be tried."""
        self.failed(step, error)
        self.skip_rest(f"not tried after the failure of: {step}")

    def skip_rest(self, reason: str, before: str = "") -> None:
        """Whatever has no result yet, before a step or at all, was not tried for this reason."""
        for step in takewhile(lambda step: step != before, self._results):
            self.skipped(step, reason)

    def late(self, seconds: float) -> None:
        """The first step without a result took too long; the rest was not tried."""
        step = next((step for step, results in self._results.items() if not results), "")
        if step:
            advice = "something hangs there: a network, a disk or a name server"
            self.stopped(step, BridgeError(f"took more than {seconds:g} s", advice))

    def _add(self, step: str, state: State, found: str, advice: str = "") -> None:
        self._results[step].append(Result(self.section, self.subject, step, state, found, advice))
