"""The delivery loops of the service: one per configured destination, so that none waits for another or for a report."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.delivery.loop import DeliveryLoop

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.app import Installation
    from bridge.conditions import Conditions
    from bridge.delivery.sender import Sender
    from bridge.state.state import State

GRACE: Final = 1.0
"""Seconds for loops that a new configuration has no more use for: a request that is cut might be sent twice."""


class Deliveries:
    """The running delivery loops, each with its task."""

    def __init__(self, state: State, conditions: Conditions) -> None:
        self._state = state
        self._conditions = conditions
        self._tasks: dict[DeliveryLoop, asyncio.Task[None]] = {}

    async def configure(self, installation: Installation, sender: Sender) -> None:
        """Deliver to exactly the destinations of an installation; loops for which nothing changes go on."""
        ambiguity = installation.settings.bridge.ambiguous_timeout
        wanted = {(destination, sender, ambiguity) for destination in installation.destinations}
        kept = {loop for loop in self._tasks if (loop.destination, loop.sender, loop.ambiguity) in wanted}
        await self._end(self._tasks.keys() - kept, GRACE)
        for destination in installation.destinations:
            if all(destination != loop.destination for loop in kept):
                loop = DeliveryLoop(destination, self._state, sender, self._conditions, ambiguity=ambiguity)
                name = f"deliver to {destination.name}"
                self._tasks[loop] = asyncio.get_running_loop().create_task(loop.run(), name=name)

    def wake(self) -> None:
        """There is something new in the queue."""
        for loop in self._tasks:
            loop.wake()

    async def end(self, seconds: float) -> None:
        """Deliver what can be delivered within so many seconds; the rest stays in the queue."""
        await self._end(self._tasks, seconds)

    async def _end(self, loops: Collection[DeliveryLoop], seconds: float) -> None:
        ending = {loop: self._tasks.pop(loop) for loop in tuple(loops)}
        for loop in ending:
            loop.end()
        try:
            if ending:
                await asyncio.wait(ending.values(), timeout=seconds)
        finally:
            for task in ending.values():
                task.cancel()
            await asyncio.gather(*ending.values(), return_exceptions=True)
