"""What differs between two configurations of a running service, key by key, and what has to be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict

if TYPE_CHECKING:
    from bridge.app import Installation

NEEDS_SENDER: Final = frozenset({"bridge.ca_file", "bridge.google", "bridge.proxy", "destinations"})
"""Keys that say how requests go out."""
NEEDS_RESTART: Final = frozenset(
    f"bridge.{key}"
    for key in ("state_dir", "queue_max_batches", "queue_max_bytes", "history_days", "missing_days", "health")
)
"""Keys that a running service does not take over; all others it does."""


def changes(old: Installation, new: Installation) -> frozenset[str]:
    """The keys whose values differ."""
    before, after = _in_force(old), _in_force(new)
    return frozenset(key for key in before if before[key] != after[key])


def _in_force(installation: Installation) -> dict[str, object]:
    """Each key and its value; what lies in files or comes from elsewhere counts for the key that names it."""
    settings = installation.settings
    values = {
        **asdict(settings.service),
        **{f"bridge.{key}": value for key, value in asdict(settings.bridge).items()},
        "bridge.ca_file": (settings.bridge.ca_file, installation.ca_contents),
        "destinations": (installation.targets, installation.destinations),
    }
    if installation.role.collects:
        access = installation.access
        values |= {
            "cookie": access.cookie.secret,
            "bridge.tls": (settings.bridge.tls, access.tls, access.tls_files),
            "bridge.nodes": (settings.bridge.nodes, access.entries),
        }
    return values
