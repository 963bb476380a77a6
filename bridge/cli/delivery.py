"""Delivery from the command line: what is queued goes out within the configured time, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bridge.cli.progress import Progress
from bridge.conditions import Conditions
from bridge.delivery.loop import DeliveryLoop, deliver_within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.app import Installation
    from bridge.delivery.sender import Sender
    from bridge.state.state import State
    from bridge.state.status import Delivery, DestinationStatus


class Delivered(Struct, frozen=True):
    """What became of events at a destination while a command ran, and what is left of all reports."""

    name: str
    delivered: int
    queued: int
    rejected: int
    dropped: int
    error: str | None
    """The last failure, where something is left."""

    @property
    def left(self) -> int:
        """Events that were not taken."""
        return self.queued + self.rejected + self.dropped

    def __str__(self) -> str:
        told = f"{self.name}: {in_words(self, 'events ')}"
        return f"{told}: {self.error}" if self.error else told


def in_words(one: Delivered | Delivery, unit: str = "") -> str:
    """What became of events at a destination, as "57 delivered, 3 queued"."""
    counts = {what: getattr(one, what) for what in ("delivered", "queued", "rejected", "dropped")}
    return ", ".join(f"{count} {unit}{what}" for what, count in counts.items() if count) or "nothing to deliver"


async def deliver(installation: Installation, state: State, sender: Sender) -> None:
    """Send what is queued to all destinations, as long as the configuration allows, and show what is left.

    Raises:
        StateError: the queue cannot be used.
    """
    bridge = installation.settings.bridge
    conditions = Conditions()
    loops = [
        DeliveryLoop(destination, state, sender, conditions, ambiguity=bridge.ambiguous_timeout)
        for destination in installation.destinations
    ]
    async with Progress(lambda: _left(state)):
        await deliver_within(loops, bridge.deliver_timeout / 1000)


def delivered_since(
    before: Sequence[DestinationStatus], installation: Installation, state: State
) -> tuple[Delivered, ...]:
    """What became of events at each destination of the configuration, since `before` was read from the state."""
    earlier = {one.id: one.counters for one in before}
    after = state.status(0, installation.configured).destinations
    return tuple(_delivered(one, earlier.get(one.id, {})) for one in after if one.configured)


def _delivered(after: DestinationStatus, before: Mapping[str, int]) -> Delivered:
    more = {outcome: events - before.get(outcome, 0) for outcome, events in after.counters.items()}
    delivered, rejected = more.pop("delivered", 0), more.pop("rejected", 0)
    one = Delivered(after.name, delivered, after.queued_events, rejected, sum(more.values()), after.error)
    return one if one.left else replace(one, error=None)


def _left(state: State) -> str:
    waiting = {one.name: one.queued_batches for one in state.status(0).destinations if one.queued_batches}
    return ", ".join(f"{name}: {batches} batches left" for name, batches in waiting.items()) or "the last answers"
