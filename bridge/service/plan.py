"""What the service runs by: all that comes from the configuration, checked, as one value that a reload replaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from bridge.config.access import Access
    from bridge.config.model import Settings
    from bridge.delivery.destination import Destination

NEEDS_RESTART: Final = frozenset(
    {"bridge.state_dir", "bridge.queue_max_batches", "bridge.queue_max_bytes", "bridge.history_days", "bridge.health"}
)
"""Keys that a running service does not take over; all others it does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One configuration, ready to be run by."""

    settings: Settings
    access: Access
    destinations: tuple[Destination, ...]

    @property
    def collect_timeout(self) -> float:
        """Seconds for each node to answer."""
        return self.settings.bridge.collect_timeout / 1000


def changes(old: Plan, new: Plan) -> frozenset[str]:
    """The keys whose values differ; what lies in files counts for the key that names them."""
    sections = {
        "": (old.settings.service, new.settings.service),
        "bridge.": (old.settings.bridge, new.settings.bridge),
    }
    changed = {
        f"{prefix}{field.name}"
        for prefix, (before, after) in sections.items()
        for field in msgspec.structs.fields(before)
        if getattr(before, field.name) != getattr(after, field.name)
    }
    if old.access.cookie.secret != new.access.cookie.secret:
        changed.add("cookie")
    if old.access.tls != new.access.tls:
        changed.add("bridge.tls")
    if old.destinations != new.destinations:
        changed.add("destinations")
    return frozenset(changed)
