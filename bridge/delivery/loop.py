"""The delivery loop: one coroutine per destination that sends what is queued until it is cancelled.

`report` puts a deadline around it, `run` keeps it going. A destination's lock is held only while there is something to
send and the destination takes it: whoever holds it sends, everybody else waits for it or looks at the outcome.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import NotTaken, SendError
from bridge.delivery.retry import outcome, pause
from bridge.log import Line
from bridge.state.queue import Outcome, Settled
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.conditions import Conditions
    from bridge.delivery.destination import Destination
    from bridge.delivery.retry import Ambiguity
    from bridge.delivery.sender import Sender
    from bridge.state.queue import Pause, Queued
    from bridge.state.state import State

log = logging.getLogger(__name__)

_TOGETHER: Final = 64
"""Batches per look into the queue: one wait for the disk and at most 8 MB of bodies for this many requests."""
_IN_FLIGHT: Final = 4
"""Requests at once to a destination that answers; one that fails is tried with a single one."""
_LOOK_SECONDS: Final = 30.0
"""Between looks into the queue while nothing is known to wait: another process may have left something there."""


class DeliveryLoop:
    """Delivers to one destination.

    Args:
        destination: where to.
        state: where the queue is.
        sender: open.
        conditions: where failures are logged.
        ambiguity: what to do with a request that may have been counted.
        uniform: randomness for the back-off.
    """

    def __init__(
        self,
        destination: Destination,
        state: State,
        sender: Sender,
        conditions: Conditions,
        *,
        ambiguity: Ambiguity = "retry",
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.destination = destination
        self.sender = sender
        self.ambiguity = ambiguity
        self._state = state
        self._queue = state.queue
        self._conditions = conditions
        self._uniform = uniform
        self._woken = asyncio.Event()
        self._resting = asyncio.Event()
        self._next_at = 0.0

    def wake(self) -> None:
        """There is something new in the queue; a pause after a failure is not cut short."""
        if self._next_at == math.inf:
            self._resting.clear()
        self._woken.set()

    async def idle(self, until: float = 0.0) -> None:
        """Wait until everything is delivered, or nothing can be sent before a moment.

        Args:
            until: in the event loop's time; 0 is now.
        """
        while not (self._resting.is_set() and self._next_at > until):
            self._resting.clear()
            await self._resting.wait()

    async def run(self, usable: Callable[[], None] = lambda: None) -> None:
        """Send what is queued, wait for more, for ever. Cancelled in mid-request, that request may be sent again.

        Args:
            usable: called whenever the queue could be used.

        Raises:
            StateError: the queue cannot be used.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            self._resting.clear()
            seconds = await self._drain()
            usable()
            if seconds is None and self._woken.is_set():
                continue
            self._next_at = math.inf if seconds is None else loop.time() + seconds
            self._resting.set()
            try:
                async with asyncio.timeout(_LOOK_SECONDS if seconds is None else seconds):
                    await (self._woken.wait() if seconds is None else loop.create_future())
            except TimeoutError:
                pass

    async def _drain(self) -> float | None:
        """Send until nothing is left: None, or until something fails: the seconds to wait before the next attempt."""
        destination = self.destination.id
        if not self._queue.waits(destination):
            return None
        events = 0
        async with self._state.delivering(destination):
            asked = (self._queue.not_before(destination) - self._queue.now()) / MICROSECONDS
            if asked > 0:
                return asked
            try:
                while taken := self._queue.take(destination, _TOGETHER):
                    while taken:
                        failures = self._queue.failures(destination)
                        together = 1 if failures else _IN_FLIGHT
                        group, taken = taken[:together], taken[together:]
                        delivered, wait = await self._send(group, failures, durable=not taken)
                        events += delivered
                        if wait:
                            return wait.seconds
            finally:
                if events:
                    log.info(Line("delivered", destination=self.destination.name, events=events))
        return None

    async def _send(self, group: Sequence[Queued], failures: int, *, durable: bool) -> tuple[int, Pause | None]:
        """Send batches at once, and record what became of each, whatever becomes of the others.

        Args:
            group: the batches.
            failures: attempts in a row that have failed before.
            durable: whether to wait for the disk; what a power failure undoes otherwise is sent again.

        Returns:
            How many events were delivered, and the pause to make where something has to be tried again.
        """
        tasks = [asyncio.ensure_future(self._attempt(batch)) for batch in group]
        try:
            await asyncio.wait(tasks)
        finally:  # also when cancelled: what has been answered is known, and must not be sent again
            ended = [(batch, task) for batch, task in zip(group, tasks, strict=True) if not task.cancel()]
            errors = {batch: task.exception() for batch, task in ended if not task.cancelled()}
            settled = [Settled(batch, *self._outcome(error)) for batch, error in errors.items()]
            wait = None
            if any(one.outcome is Outcome.RETRY for one in settled):
                asked = max(error.retry_after if isinstance(error, NotTaken) else 0.0 for error in errors.values())
                wait = pause(failures + 1, asked, self._uniform)
            self._queue.settle(self.destination.id, settled, pause=wait, durable=durable or wait is not None)
        self._log(settled, failures, wait)
        for error in errors.values():
            if error and not isinstance(error, SendError):
                raise error
        return sum(one.batch.events for one in settled if one.outcome is Outcome.DELIVERED), wait

    async def _attempt(self, batch: Queued) -> None:
        request = self.destination.request(batch.body, batch.collected_at)
        answer = await self.sender.send(request, self.sender.total_seconds)
        self.destination.check(answer, self._queue.now())

    def _outcome(self, error: BaseException | None) -> tuple[Outcome, str | None]:
        if error is None:
            return Outcome.DELIVERED, None
        if isinstance(error, SendError):
            return outcome(error, self.ambiguity), str(error)
        return Outcome.RETRY, f"unforeseen {type(error).__name__}"

    def _log(self, settled: Sequence[Settled], failures: int, wait: Pause | None) -> None:
        about, name = self.destination.id, self.destination.name
        bad = [one for one in settled if one.error]
        if not bad:
            self._conditions.end("delivery_failing", "delivery_recovered", about, destination=name)
            return
        self._conditions.begin(
            "delivery_failing",
            about,
            destination=name,
            outcome=bad[-1].outcome,
            error=bad[-1].error,
            failures=failures + (wait is not None),
            retry_in=f"{wait.seconds:.1f}s" if wait else "never",
        )


async def deliver_within(loops: Sequence[DeliveryLoop], seconds: float) -> None:
    """Let loops deliver until nothing is left, or nothing more can be sent within so many seconds.

    Raises:
        StateError: the queue cannot be used.
    """
    until = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop.run()) for loop in loops]
            try:
                async with asyncio.timeout_at(until):
                    for loop in loops:
                        await loop.idle(until)
            except TimeoutError:
                pass
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
