"""Drains the queue: every destination on its own task, until nothing is left or the time is up.

What goes wrong is told once per destination: a WARNING when it begins, DEBUG while it lasts, an INFO when it is over.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import DeliveryError, SendError
from bridge.delivery.queue import Pause, Settled
from bridge.delivery.retry import Verdict, delay, judge_failure, retry_after
from bridge.log import Line
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.delivery.destination import Answer, Destination
    from bridge.delivery.queue import Claimed, Queue
    from bridge.delivery.retry import Ambiguity
    from bridge.delivery.sender import Sender
    from bridge.delivery.store import Store

log = logging.getLogger(__name__)

_CLAIM: Final = 64
"""Batches per claim: one wait for the disk and at most 8 MB of bodies for this many requests."""
_IN_FLIGHT: Final = 4
"""Requests at once to a destination that answers; one that fails is probed with a single one."""
_OTHERS_SECONDS: Final = 0.1
"""How often to look whether another process has sent what it holds."""
_LEAST_SECONDS: Final = 1.0
"""No request is begun with less time than this, unless the caller says otherwise."""


@dataclass(slots=True)
class Health:
    """What a process remembers of its destinations from one delivery to the next; the service keeps one for months."""

    failures: dict[str, int] = field(default_factory=dict)
    """Attempts in a row that have to be made again, by `Destination.id`; absent while all is well."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call of `deliver` did for one destination, in events; `queued` is what is left, of all reports."""

    id: str
    name: str
    delivered: int
    rejected: int
    dropped: int
    queued: int
    error: str | None
    """Why something is queued, rejected or dropped."""
    retry_in: float | None
    """Seconds until the next attempt makes sense; None when nothing has failed."""


async def deliver(
    store: Store,
    destinations: Sequence[Destination],
    sender: Sender,
    *,
    seconds: float,
    health: Health,
    least: float | None = None,
    ambiguity: Ambiguity = "retry",
    uniform: Callable[[float, float], float] = random.uniform,
) -> tuple[Outcome, ...]:
    """Send what is queued for `destinations`, each at its own pace; what is not sent in time stays queued.

    Cancelled, it lets go of what it holds; a request that was in flight may then be sent again.

    Args:
        store: where the queue is.
        destinations: those that are configured; none sends nothing.
        sender: open.
        seconds: how long to go on; requests are cut at the end of it.
        health: kept by the caller between calls.
        least: seconds that have to be left for a request to begin; with the sender's `total_seconds` none is cut.
        ambiguity: what to do with a request that may have been counted.
        uniform: randomness for the back-off.

    Returns:
        One outcome per destination, in their order.

    Raises:
        StoreError: the queue cannot be used.
    """
    least = min(_LEAST_SECONDS, seconds / 2) if least is None else least
    terms = _Terms(store.queue, sender, health, seconds, least, ambiguity, uniform)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_Drain(destination, terms).run()) for destination in destinations]
    except BaseExceptionGroup as errors:
        foreseen, _ = errors.split(DeliveryError)
        raise (foreseen or errors).exceptions[0] from errors
    return tuple(task.result() for task in tasks)


@dataclass(frozen=True, slots=True)
class _Attempt:
    settled: Settled
    patience: float | None = None


@dataclass(frozen=True, slots=True)
class _Terms:
    """What all destinations of one call have in common."""

    queue: Queue
    sender: Sender
    health: Health
    seconds: float
    least: float
    ambiguity: Ambiguity
    uniform: Callable[[float, float], float]


class _Drain:
    """One destination, from the first claim to the outcome."""

    def __init__(self, destination: Destination, terms: _Terms) -> None:
        self._destination = destination
        self._terms = terms
        self._queue = terms.queue
        self._failures = terms.health.failures
        self._owner = secrets.token_hex(8)
        self._end = asyncio.get_running_loop().time() + terms.seconds
        self._least = terms.least
        self._events = dict.fromkeys(Verdict, 0)
        self._error: str | None = None
        self._retry_in: float | None = None

    async def run(self) -> Outcome:
        if self._queue.waiting(self._destination.id).batches:
            try:
                if await self._patience_is_over():
                    await self._drain()
            finally:
                self._queue.release(self._owner)
        waiting = self._queue.waiting(self._destination.id)
        return Outcome(
            self._destination.id,
            self._destination.name,
            self._events[Verdict.DELIVERED],
            self._events[Verdict.REJECTED],
            self._events[Verdict.DROPPED],
            waiting.events,
            self._error or (waiting.error if waiting.events else None),
            self._retry_in,
        )

    def _left(self) -> float:
        return self._end - asyncio.get_running_loop().time()

    async def _patience_is_over(self) -> bool:
        """Wait for what an earlier Retry-After asked for, perhaps of another process; False when that is too long."""
        until = self._queue.waiting(self._destination.id).not_before
        seconds = (until - self._queue.now()) / MICROSECONDS
        return seconds <= 0 or await self._pause(seconds)

    async def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; False when the time is up before that."""
        self._retry_in = seconds
        if seconds > self._left() - self._least:
            return False
        await asyncio.sleep(seconds)
        self._retry_in = None
        return True

    async def _drain(self) -> None:
        while self._left() >= self._least:
            claimed = self._queue.claim(self._destination.id, self._owner, _CLAIM)
            if not claimed:
                if not self._queue.waiting(self._destination.id).claimed:
                    return
                await asyncio.sleep(_OTHERS_SECONDS)
                continue
            pause = await self._deliver(claimed)
            if pause:
                self._queue.release(self._owner)
                if not await self._pause(pause.seconds):
                    return

    async def _deliver(self, claimed: Sequence[Claimed]) -> Pause | None:
        """Send what is claimed, a few at a time; the pause to make when something has to be tried again."""
        rest = list(claimed)
        while rest and self._left() >= self._least:
            together = 1 if self._destination.id in self._failures else _IN_FLIGHT
            group, rest = rest[:together], rest[together:]
            attempts = await self._attempt_all(group)
            pause = self._judged(attempts)
            settled = [attempt.settled for attempt in attempts]
            # One wait for the disk per claim: what a power failure undoes of the rest is sent again.
            durable = not rest or pause is not None
            self._queue.settle(self._destination.id, self._owner, settled, pause=pause, durable=durable)
            if pause:
                return pause
        return None

    async def _attempt_all(self, group: Sequence[Claimed]) -> list[_Attempt]:
        tasks = [asyncio.ensure_future(self._attempt(batch)) for batch in group]
        try:
            return await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            # What has been answered is known, and must not be sent again because something beside it was cancelled.
            settled = [task.result().settled for task in tasks if task.done() and not task.cancelled()]
            self._queue.settle(self._destination.id, self._owner, settled)
            raise

    async def _attempt(self, batch: Claimed) -> _Attempt:
        request = self._destination.request(batch.body, self._queue.now())
        try:
            answer = await self._terms.sender.send(request, min(self._terms.sender.total_seconds, self._left()))
        except SendError as error:
            return _Attempt(Settled(batch, judge_failure(error, self._terms.ambiguity), str(error)))
        verdict = self._destination.judge(answer)
        if verdict is Verdict.DELIVERED:
            return _Attempt(Settled(batch, verdict))
        reason = _reason(request.peer, answer)
        return _Attempt(Settled(batch, verdict, reason), retry_after(answer, self._queue.now()))

    def _judged(self, attempts: Sequence[_Attempt]) -> Pause | None:
        """Count and tell what became of a group; the pause to make when something has to be tried again."""
        for attempt in attempts:
            self._events[attempt.settled.verdict] += attempt.settled.batch.events
        bad = [attempt.settled for attempt in attempts if attempt.settled.error]
        if not bad:
            self._recovered()
            return None
        self._error = bad[-1].error
        first = self._destination.id not in self._failures
        failures = self._failures.setdefault(self._destination.id, 0)
        pause = None
        if any(one.verdict is Verdict.RETRY for one in bad):
            failures = self._failures[self._destination.id] = failures + 1
            asked = max((attempt.patience or 0.0 for attempt in attempts), default=0.0)
            pause = Pause(delay(failures, asked, self._terms.uniform), asked=asked > 0)
        line = Line(
            "delivery_failing",
            destination=self._destination.name,
            verdict=bad[-1].verdict,
            error=self._error,
            failures=failures,
            retry_in=f"{pause.seconds:.1f}s" if pause else "never",
        )
        log.log(logging.WARNING if first else logging.DEBUG, line)
        return pause

    def _recovered(self) -> None:
        self._error = None
        failures = self._failures.pop(self._destination.id, None)
        if failures is not None:
            log.info(Line("delivery_recovered", destination=self._destination.name, failures=failures))


def _reason(peer: str, answer: Answer) -> str:
    """An unwelcome answer in words; its body is the other side's and stays out."""
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    hint = ""
    if 300 <= answer.status < 400:
        hint = "; redirects are not followed: is the endpoint right, or is there a captive portal in between?"
    elif answer.status == HTTPStatus.NOT_FOUND:
        hint = "; is the endpoint right?"
    return f"{peer} answered {answer.status}{phrase}{hint}"
