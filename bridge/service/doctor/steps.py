"""What a step is, what it may find, and how a chain of steps is run: after a failure the rest is skipped with a reason.

A step is a function from its patient to what it found. One that is no coroutine may block: it runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from inspect import iscoroutinefunction
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar, cast

from bridge.config.errors import ConfigError
from bridge.errors import BridgeError

T = TypeVar("T")


class State(StrEnum):
    """How a step went."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


class Section(StrEnum):
    """Which side a step belongs to; a failure's side decides the exit code."""

    CONFIGURATION = "configuration"
    CLUSTER = "cluster"
    DELIVERY = "delivery"


class Finding(NamedTuple):
    """What a step found; `advice` is the likely cause and what to do."""

    state: State
    found: str
    advice: str = ""


def ok(found: str) -> Finding:
    """All is as it should be."""
    return Finding(State.OK, found)


def warning(found: str, advice: str) -> Finding:
    """Reports are made and delivered, but something should be looked at."""
    return Finding(State.WARNING, found, advice)


def failure(found: str, advice: str) -> Finding:
    """No report can be made, kept or delivered as long as this is so."""
    return Finding(State.FAILURE, found, advice)


def skipped(reason: str) -> Finding:
    """There is nothing to try, or it cannot be tried."""
    return Finding(State.SKIPPED, reason)


def failed(error: BridgeError, advice: str = "") -> tuple[Finding, ...]:
    """The bridge's own errors as findings: their messages say what failed, a semicolon, and what to do."""
    if isinstance(error, ConfigError):
        return tuple(failure(*_parts(str(problem), advice)) for problem in error.problems)
    remedy: str = getattr(error, "remedy", "")
    if remedy:
        return (failure(str(error).removesuffix(f"; {remedy}"), remedy),)
    return (failure(*_parts(str(error), advice)),)


def _parts(message: str, advice: str) -> tuple[str, str]:
    found, _, remedy = message.partition("; ")
    return found, remedy or advice


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the examination: which step of what, and what it found."""

    section: Section
    subject: str
    """The node or the destination; empty where there is only one of a kind."""
    step: str
    state: State
    found: str
    advice: str


Findings = Finding | Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One thing to try."""

    name: str
    proves: str
    """What is known when it is ok, in the words of docs/doctor.md."""
    check: Callable[[T], Findings] | Callable[[T], Awaitable[Findings]]
    seconds: float = 4.0
    vital: bool = True
    """Whether it makes no sense to go on after its failure."""


@dataclass(frozen=True, slots=True)
class Chain(Generic[T]):
    """Steps that are tried one after the other on the same patient."""

    section: Section
    steps: tuple[Step[T], ...]

    async def run(self, patient: T, deadline: float, subject: str = "") -> list[Result]:
        """Try every step, each within its seconds, all before the deadline (in the event loop's time)."""
        results: list[Result] = []
        obstacle = ""
        for step in self.steps:
            findings = [skipped(obstacle)] if obstacle else await _tried(step, patient, deadline)
            results += [self._result(subject, step, finding) for finding in findings]
            if step.vital and not obstacle and any(finding.state is State.FAILURE for finding in findings):
                obstacle = f"not tried after the failure of: {step.name}"
        return results

    def skipped(self, reason: str, subject: str = "") -> list[Result]:
        """Every step, skipped."""
        return [self._result(subject, step, skipped(reason)) for step in self.steps]

    def _result(self, subject: str, step: Step[T], finding: Finding) -> Result:
        return Result(self.section, subject, step.name, *finding)


async def _tried(step: Step[T], patient: T, deadline: float) -> Sequence[Finding]:
    left = deadline - asyncio.get_running_loop().time()
    late = [skipped("no time was left: the steps before took too much of it")]
    if left <= 0:
        return late
    try:
        async with asyncio.timeout(min(step.seconds, left)):
            # One that is no coroutine may block, on a disk that hangs for example.
            found = step.check(patient) if iscoroutinefunction(step.check) else asyncio.to_thread(step.check, patient)
            findings = await cast("Awaitable[Findings]", found)
    except TimeoutError:
        advice = "something hangs there: a network, a disk or a name server"
        return [failure(f"took more than {step.seconds:g} s", advice)] if step.seconds <= left else late
    except BridgeError as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001 - one step's bug must not cost what the others found
        return [failure(f"failed with {type(error).__name__}, which was not foreseen", "please report this bug")]
    return [findings] if isinstance(findings, Finding) else findings


class Attempt(Generic[T]):
    """One attempt that several steps tell about: its failure belongs to one of them, those before went well."""

    def __init__(
        self, make: Callable[[], Awaitable[T]], order: Sequence[str], place: Callable[[BridgeError], str]
    ) -> None:
        """Prepare.

        Args:
            make: the attempt.
            order: the names of the steps that tell about it, in their order.
            place: the name of the step that a failure belongs to.
        """
        self._make = make
        self._order = order
        self._place = place
        self._done: T | None = None
        self._error: BridgeError | None = None
        self._begun = False

    async def passed(self, step: str) -> T | None:
        """Make the attempt, if that was not done yet; its result, or None where a later step has its failure.

        Raises:
            BridgeError: the failure, where it belongs to this step.
        """
        if not self._begun:
            self._begun = True
            try:
                self._done = await self._make()
            except BridgeError as error:
                self._error = error
        if self._error and self._order.index(self._place(self._error)) <= self._order.index(step):
            raise self._error
        return self._done


class Daemons(ThreadPoolExecutor):
    """Runs each call in a thread that nobody waits for: a name look-up or a dead disk may take minutes to return."""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it at once."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it, only forget it

        def run() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
                future.set_exception(error)

        Thread(target=run, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing is waited for."""


async def resolve(host: str) -> list[str]:
    """The addresses of a host, as this machine sees them.

    Raises:
        OSError, UnicodeError: it has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, None)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def addresses_of(host: str, addresses: Sequence[str]) -> str:
    """What a look-up gave, for a line of text."""
    return host if list(addresses) == [host] else f"{host} is {listed(addresses)}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """The first few of many, for a line of text."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
