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
from typing import TYPE_CHECKING, Final, Literal

from bridge.backoff import pause
from bridge.delivery.errors import SendError
from bridge.log import Line
from bridge.state.queue import Outcome, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from bridge.conditions import Conditions
    from bridge.delivery.destination import Destination
    from bridge.delivery.sender import Sender
    from bridge.state.queue import Queued
    from bridge.state.state import State

log = logging.getLogger(__name__)

_TOGETHER: Final = 64
"""Batches per look into the queue: one wait for the disk and at most 8 MB of bodies for this many requests."""
_IN_FLIGHT: Final = 4
"""Requests at once to a destination that answers; one that fails is tried with a single one."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
"""Seconds before the attempt after a failure, and after many."""
_LOOK_SECONDS: Final = 30.0
"""Between looks into the queue while nothing is known to wait: another process may have left something there."""
_AFTER_ERROR: Final = 10.0
"""Seconds before another attempt when the queue itself cannot be used."""

Ambiguity = Literal["retry", "drop"]
"""What to do when a request may have been counted: send it again, or give it up."""


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
        self._delivered = 0
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
                self._conditions.end("delivery_stopped", about, destination=name)
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
        destination, wait = self.destination.id, None
        async with self._state.delivering(destination):
            self._delivered = 0
            try:
                while wait is None:
                    standing = self._queue.standing(destination)
                    if standing.asked:
                        return standing.asked
                    taken = self._queue.take(destination, 1 if standing.failures else _TOGETHER)
                    if not taken:
                        await self._ask()
                        return None
                    wait = await self._send(taken, standing.failures)
                return wait
            finally:
                if self._delivered:
                    log.info(Line("delivered", destination=self.destination.name, events=self._delivered))

    async def _send(self, taken: Sequence[Queued], failures: int) -> float | None:
        """Send batches, some at once, until one has to be tried again: the seconds to wait for that.

        What became of each is recorded at once: what is not when this process is killed is sent again. So is what a
        power failure undoes; the disk is waited for with the last of them, or with the pause.

        Args:
            taken: the batches.
            failures: attempts in a row that have failed before.
        """
        left, settled, unforeseen = iter(taken), list[Settled](), list[Exception]()

        async def work() -> None:
            for batch in left:
                try:
                    one = await self.destination.deliver(batch, self.sender, self._state.clock.wall())
                except SendError as error:
                    one = Settled(batch, self._outcome(error), str(error), asked=error.retry_after)
                except Exception as error:  # noqa: BLE001 - whatever it is, what the others are answered counts
                    unforeseen.append(error)
                    one = Settled(batch, Outcome.RETRY, f"unforeseen {type(error).__name__}")
                settled.append(one)
                self._delivered += one.delivered
                self._queue.settle(self.destination.id, [one], durable=len(settled) == len(taken))
                if any(each.outcome is Outcome.RETRY for each in settled):
                    return

        wait = None
        try:
            await _side_by_side(work() for _ in range(_IN_FLIGHT))
        finally:  # also when cancelled: what the destination has asked for holds for the next process
            if any(one.outcome is Outcome.RETRY for one in settled):
                asked = max(one.asked for one in settled)
                wait = max(self._uniform(0.0, pause(failures + 1, FIRST_PAUSE, LONGEST_PAUSE)), asked)
                self._queue.pause(self.destination.id, wait, asked)
        self._log(settled, failures, wait)
        if unforeseen:
            raise unforeseen[0]
        return wait

    def _outcome(self, error: SendError) -> Outcome:
        """What becomes of a batch that was not taken: it is sent again, unless the answer is final.

        One that may have been counted is given up where the operator would rather lose it than count it twice.
        """
        if error.final:
            return Outcome.REJECTED
        return Outcome.AMBIGUOUS if error.ambiguous and self.ambiguity == "drop" else Outcome.RETRY

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

    def _log(self, settled: Sequence[Settled], failures: int, wait: float | None) -> None:
        about, name = self.destination.id, self.destination.name
        bad = [one for one in settled if one.error]
        if not bad:
            self._conditions.end("delivery_failing", about, destination=name)
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
        async with asyncio.timeout_at(until):
            await _side_by_side(map(deliver, loops))
    except TimeoutError:
        pass


async def _side_by_side(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Do several things at once; the first that raises an error ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
