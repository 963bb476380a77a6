"""The delivery loop: one coroutine per destination that sends what is queued.

`report` drains the queue once, within a deadline; `run` goes on until it is told to end. A destination's lock is held
only while there is something to send and the destination takes it: whoever holds it sends, everybody else waits for it
or looks at the outcome.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import SendError
from bridge.delivery.retry import outcome, wait_before
from bridge.log import Line
from bridge.state.queue import Outcome, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.conditions import Conditions
    from bridge.delivery.destination import Destination, Taken
    from bridge.delivery.retry import Ambiguity
    from bridge.delivery.sender import Sender
    from bridge.state.queue import Queued
    from bridge.state.state import State

log = logging.getLogger(__name__)

_TOGETHER: Final = 64
"""Batches per look into the queue: one wait for the disk and at most 8 MB of bodies for this many requests."""
_IN_FLIGHT: Final = 4
"""Requests at once to a destination that answers; one that fails is tried with a single one."""
_LOOK_SECONDS: Final = 30.0
"""Between looks into the queue while nothing is known to wait: another process may have left something there."""
_AFTER_ERROR: Final = 10.0
"""Seconds before another attempt when the queue itself cannot be used."""


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
        self._ending = asyncio.Event()

    def wake(self) -> None:
        """There is something new in the queue; a pause after a failure is not cut short."""
        self._woken.set()

    def end(self) -> None:
        """Have `run` return once everything is sent, or nothing can be sent at the moment."""
        self._ending.set()
        self._woken.set()

    async def run(self) -> None:
        """Send what is queued and wait for more, whatever happens, until `end`.

        Cancelled in mid-request, that request may be sent again.
        """
        about, name = self.destination.id, self.destination.name
        pause: float | None = None
        while pause is None or not self._ending.is_set():
            last = self._ending.is_set()
            self._woken.clear()
            try:
                pause = await self.drain()
                self._conditions.end("delivery_stopped", "delivery_resumed", about, destination=name)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                self._conditions.failed("delivery_stopped", error, about, destination=name)
                pause = _AFTER_ERROR
            if last:
                return
            event, seconds = (self._woken, _LOOK_SECONDS) if pause is None else (self._ending, pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()

    async def drain(self) -> float | None:
        """Send until nothing is left: None, or until something fails: the seconds to wait before the next attempt.

        Raises:
            StateError: the queue cannot be used.
        """
        destination, events = self.destination.id, 0
        async with self._state.delivering(destination):
            try:
                while not (asked := self._queue.standing(destination).asked):
                    taken = self._queue.take(destination, _TOGETHER)
                    if not taken:
                        await self._ask()
                        return None
                    while taken:
                        failures = self._queue.standing(destination).failures
                        together = 1 if failures else _IN_FLIGHT
                        group, taken = taken[:together], taken[together:]
                        delivered, wait = await self._send(group, failures, durable=not taken)
                        events += delivered
                        if wait is not None:
                            return wait
                return asked
            finally:
                if events:
                    log.info(Line("delivered", destination=self.destination.name, events=events))

    async def _send(self, group: Sequence[Queued], failures: int, *, durable: bool) -> tuple[int, float | None]:
        """Send batches at once, and record what became of each, whatever becomes of the others.

        Args:
            group: the batches.
            failures: attempts in a row that have failed before.
            durable: whether to wait for the disk; what a power failure undoes otherwise is sent again.

        Returns:
            How many events were delivered, and the seconds to wait where something has to be tried again.
        """
        tasks = [
            asyncio.ensure_future(self.destination.deliver(batch, self.sender, self._state.clock.wall()))
            for batch in group
        ]
        try:
            await asyncio.wait(tasks)
        finally:  # also when cancelled: what has been answered is known, and must not be sent again
            ended = [(batch, task) for batch, task in zip(group, tasks, strict=True) if not task.cancel()]
            answered = [(batch, task) for batch, task in ended if not task.cancelled()]
            errors = [error for _, task in answered if (error := task.exception())]
            settled = [
                self._failed(batch, error) if (error := task.exception()) else _taken(batch, task.result())
                for batch, task in answered
            ]
            asked = max((error.retry_after for error in errors if isinstance(error, SendError)), default=0.0)
            wait = None
            if any(one.outcome is Outcome.RETRY for one in settled):
                wait = wait_before(failures + 1, asked, self._uniform)
            durable = durable or wait is not None
            self._queue.settle(self.destination.id, settled, wait=wait, asked=asked, durable=durable)
        self._log(settled, failures, wait)
        for error in errors:
            if not isinstance(error, SendError):
                raise error
        return sum(one.delivered for one in settled), wait

    async def _ask(self) -> None:
        """Ask what became of batches that were taken some time ago."""
        for receipt in self._state.receipts.due(self.destination.id):
            try:
                processed = await self.destination.processed(receipt, self.sender, self._state.clock.wall())
            except SendError as error:
                self._state.receipts.unanswered(receipt, str(error))
                continue
            if processed is None:
                self._state.receipts.unanswered(receipt, "it is being processed")
                continue
            self._state.receipts.answered(receipt, processed)
            if processed.failed:
                about = Line(
                    "events_not_processed",
                    destination=self.destination.name,
                    events=processed.failed,
                    reason=processed.reason,
                )
                log.warning(about)

    def _failed(self, batch: Queued, error: BaseException) -> Settled:
        if isinstance(error, SendError):
            return Settled(batch, outcome(error, self.ambiguity), str(error))
        return Settled(batch, Outcome.RETRY, f"unforeseen {type(error).__name__}")

    def _log(self, settled: Sequence[Settled], failures: int, wait: float | None) -> None:
        about, name = self.destination.id, self.destination.name
        bad = [one for one in settled if one.error]
        if not bad:
            self._conditions.end("delivery_failing", "delivery_recovered", about, destination=name)
            return
        self._conditions.begin(
            "delivery_failing",
            about,
            destination=name,
            outcome=Outcome.REJECTED if bad[-1].refused else bad[-1].outcome,
            error=bad[-1].error,
            failures=failures + (wait is not None),
            retry_in="never" if wait is None else f"{wait:.1f}s",
        )


def _taken(batch: Queued, taken: Taken) -> Settled:
    reason = next(iter(taken.refused.values()), None)
    return Settled(batch, Outcome.DELIVERED, reason, taken.refused, taken.receipt)


async def deliver_within(loops: Sequence[DeliveryLoop], seconds: float) -> None:
    """Let loops deliver until nothing is left, or nothing more can be sent within so many seconds.

    Raises:
        StateError: the queue cannot be used.
    """
    now = asyncio.get_running_loop().time
    until = now() + seconds

    async def deliver(loop: DeliveryLoop) -> None:
        pause: float | None = 0.0
        while pause is not None and now() + pause < until:
            await asyncio.sleep(pause)
            pause = await loop.drain()

    try:
        async with asyncio.timeout_at(until), asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(deliver(loop))
    except TimeoutError:
        pass
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
