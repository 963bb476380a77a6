"""Delivery in the background: one courier per destination, so that none waits for another or holds up a collection."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bridge.delivery.deliver import deliver
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.delivery.deliver import Health, Outcome
    from bridge.delivery.destination import Destination
    from bridge.delivery.retry import Ambiguity
    from bridge.delivery.sender import Sender
    from bridge.delivery.store import Store
    from bridge.service.troubles import Troubles

log = logging.getLogger(__name__)

STRETCH: Final = 60.0
"""Seconds of one delivery, after which its outcome so far is known to `status`; what is left goes on in the next."""
BETWEEN: Final = 1.0
"""Seconds between stretches, when there is no other reason to wait."""
LOOK: Final = 30.0
"""Seconds between looks into the queue: `report` on the command line may have left something there."""
GRACE: Final = 1.0
"""Seconds for those that a new configuration has no more use for: a request that is cut might be sent twice."""
AFTER_ERROR: Final = 10.0
"""Seconds before another attempt when the queue itself cannot be used."""


class Couriers:
    """The couriers of all destinations that are configured."""

    def __init__(self, store: Store, health: Health, troubles: Troubles, told: Callable[[Outcome], None]) -> None:
        """Prepare without any courier.

        Args:
            store: where the queue is.
            health: kept for the life of the service.
            troubles: where it is told that the queue cannot be used.
            told: takes every outcome.
        """
        self._store = store
        self._health = health
        self._troubles = troubles
        self._told = told
        self._couriers: tuple[_Courier, ...] = ()

    async def employ(self, destinations: Sequence[Destination], sender: Sender, ambiguity: Ambiguity) -> None:
        """Deliver to exactly these from now on; those whom nothing changes for are not disturbed."""
        kept = [courier for courier in self._couriers if courier.serves(destinations, sender, ambiguity)]
        gone = [courier for courier in self._couriers if courier not in kept]
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self.idle(gone)
        await self.dismiss(gone)
        served = {courier.destination.id for courier in kept}
        for destination in destinations:
            if destination.id not in served:
                deliverer = _Courier(destination, sender, ambiguity, self._store, self._health)
                deliverer.start(self._troubles, self._told)
                kept.append(deliverer)
        self._couriers = tuple(kept)
        present = {destination.id for destination in destinations}
        for absent in self._health.failures.keys() - present:
            del self._health.failures[absent]

    def wake(self) -> None:
        """There is something new in the queue."""
        for courier in self._couriers:
            courier.wake()

    async def idle(self, couriers: Sequence[_Courier] | None = None) -> None:
        """Wait until everything is delivered by these, or all, or nothing can be done at the moment."""
        for courier in self._couriers if couriers is None else couriers:
            await courier.idle.wait()

    async def dismiss(self, couriers: Sequence[_Courier] | None = None) -> None:
        """Stop these, or all; what is under way stays in the queue."""
        gone = self._couriers if couriers is None else couriers
        for courier in gone:
            courier.task.cancel()
        await asyncio.gather(*(courier.task for courier in gone), return_exceptions=True)
        self._couriers = tuple(courier for courier in self._couriers if courier not in gone)


class _Courier:
    """One destination's: delivers what is queued, then sleeps until there is more or it may try again."""

    task: asyncio.Task[None]

    def __init__(
        self, destination: Destination, sender: Sender, ambiguity: Ambiguity, store: Store, health: Health
    ) -> None:
        self.destination = destination
        self.idle = asyncio.Event()
        self._sender = sender
        self._ambiguity = ambiguity
        self._store = store
        self._health = health
        self._woken = asyncio.Event()

    def start(self, troubles: Troubles, told: Callable[[Outcome], None]) -> None:
        self.task = asyncio.get_running_loop().create_task(
            self._run(troubles, told), name=f"deliver to {self.destination.name}"
        )

    def serves(self, destinations: Sequence[Destination], sender: Sender, ambiguity: Ambiguity) -> bool:
        return self.destination in destinations and self._sender is sender and self._ambiguity == ambiguity

    def wake(self) -> None:
        self.idle.clear()
        self._woken.set()

    async def _run(self, troubles: Troubles, told: Callable[[Outcome], None]) -> None:
        name = self.destination.name
        while True:
            self._woken.clear()
            try:
                pause = await self._deliver(told)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                troubles.failed("delivery_stopped", error, self.destination.id, destination=name)
                pause = AFTER_ERROR
            else:
                troubles.end("delivery_stopped", "delivery_resumed", self.destination.id, destination=name)
            if pause is None and self._woken.is_set():
                continue
            self.idle.set()
            if pause is None:
                await self._something_to_do(troubles)
            else:
                await asyncio.sleep(pause)
            self.idle.clear()

    async def _deliver(self, told: Callable[[Outcome], None]) -> float | None:
        """One stretch; the seconds to wait before the next, or None where all is done."""
        (outcome,) = await deliver(
            self._store,
            (self.destination,),
            self._sender,
            seconds=STRETCH,
            health=self._health,
            least=self._sender.total_seconds,
            ambiguity=self._ambiguity,
        )
        told(outcome)
        if outcome.delivered:
            log.info(Line("delivered", destination=outcome.name, events=outcome.delivered, queued=outcome.queued))
        if outcome.retry_in is not None:
            return outcome.retry_in
        # What is left without a reason to wait is held by another process, or the stretch was over.
        return BETWEEN if outcome.queued else None

    async def _something_to_do(self, troubles: Troubles) -> None:
        while not self._woken.is_set():
            try:
                async with asyncio.timeout(LOOK):
                    await self._woken.wait()
            except TimeoutError:
                try:
                    if self._store.queue.waiting(self.destination.id).batches:
                        return
                except Exception as error:  # noqa: BLE001 - as above
                    troubles.failed("delivery_stopped", error, self.destination.id, destination=self.destination.name)
