"""How Google's own APIs are reached, from `[bridge.google]`: whose credentials, and where they are sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.config.destinations import loopback
from bridge.config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from bridge.config.load import Loaded

_ENDPOINT: Final = "bridge.google.endpoint"


class GoogleAccess(NamedTuple):
    """What it takes to ask Google's APIs."""

    credentials_file: Path | None
    """None takes the Application Default Credentials."""
    endpoint: str
    """Base URL of all of them, without a slash at its end; empty for Google's own hosts."""


def google_access(loaded: Loaded) -> GoogleAccess:
    """Check the section.

    Raises:
        ConfigError: tokens would travel unencrypted.
    """
    section = loaded.settings.bridge.google
    endpoint = section.endpoint.rstrip("/")
    if endpoint and not (endpoint.startswith("https://") or loopback(endpoint)):
        what = "is not an https address, and access tokens would travel unencrypted"
        raise ConfigError([Problem(loaded.origins[_ENDPOINT], _ENDPOINT, what, "leave it out to ask Google itself")])
    own = section.credentials_file
    return GoogleAccess(Path(own) if own else None, endpoint)
