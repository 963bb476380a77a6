"""The delivery loops of the service: one per configured destination, so that none waits for another or for a report."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bridge.delivery.loop import DeliveryLoop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.app import Installation
    from bridge.conditions import Conditions
    from bridge.delivery.sender import Sender
    from bridge.state.state import State

GRACE: Final = 1.0
"""Seconds for loops that a new configuration has no more use for: a request that is cut might be sent twice."""
AFTER_ERROR: Final = 10.0
"""Seconds before another attempt when the queue itself cannot be used."""


class Deliveries:
    """Keeps a delivery loop going for each destination, whatever happens to it."""

    def __init__(self, state: State, conditions: Conditions) -> None:
        self._state = state
        self._conditions = conditions
        self._tasks: dict[DeliveryLoop, asyncio.Task[None]] = {}

    async def configure(self, installation: Installation, sender: Sender) -> None:
        """Deliver to exactly the destinations of an installation; loops for which nothing changes go on."""
        ambiguity = installation.settings.bridge.ambiguous_timeout
        wanted = {(destination, sender, ambiguity) for destination in installation.destinations}
        kept = {loop for loop in self._tasks if (loop.destination, loop.sender, loop.ambiguity) in wanted}
        await self.stop(self._tasks.keys() - kept, GRACE)
        for destination in installation.destinations:
            if all(destination != loop.destination for loop in kept):
                loop = DeliveryLoop(destination, self._state, sender, self._conditions, ambiguity=ambiguity)
                name = f"deliver to {destination.name}"
                self._tasks[loop] = asyncio.get_running_loop().create_task(self._keep_going(loop), name=name)

    def wake(self) -> None:
        """There is something new in the queue."""
        for loop in self._tasks:
            loop.wake()

    async def idle(self) -> None:
        """Wait until everything is delivered, or nothing can be done at the moment."""
        for loop in self._tasks:
            await loop.idle()

    async def stop(self, loops: Iterable[DeliveryLoop] | None = None, grace: float = 0.0) -> None:
        """Stop these loops, or all; what is not delivered stays in the queue.

        Args:
            loops: all of them where None.
            grace: seconds to end what is under way.
        """
        ending = {loop: self._tasks.pop(loop) for loop in list(self._tasks if loops is None else loops)}
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                for loop in ending:
                    await loop.idle()
        for task in ending.values():
            task.cancel()
        await asyncio.gather(*ending.values(), return_exceptions=True)

    async def _keep_going(self, loop: DeliveryLoop) -> None:
        about, name = loop.destination.id, loop.destination.name
        while True:
            try:
                await loop.run(
                    lambda: self._conditions.end("delivery_stopped", "delivery_resumed", about, destination=name)
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                self._conditions.failed("delivery_stopped", error, about, destination=name)
                await asyncio.sleep(AFTER_ERROR)
