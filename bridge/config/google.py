"""How Google's own APIs are reached, from `[bridge.google]`: whose credentials, and where they are sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.config.destinations import READABLE_BY_OTHERS, loopback, warn_exposed
from bridge.config.errors import ConfigError, Problem
from bridge.config.files import exposed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.load import Loaded

_ENDPOINT: Final = "bridge.google.endpoint"
_DEFAULT_CREDENTIALS: Final = "GOOGLE_APPLICATION_CREDENTIALS"
"""google-auth's own variable: the file of the Application Default Credentials."""


class GoogleAccess(NamedTuple):
    """What it takes to ask Google's APIs."""

    credentials_file: Path | None
    """None takes the Application Default Credentials."""
    endpoint: str
    """Base URL of all of them, without a slash at its end; empty for Google's own hosts."""


def google_access(loaded: Loaded, environ: Mapping[str, str]) -> GoogleAccess:
    """Check the section, and warn of credentials that others can read.

    Raises:
        ConfigError: tokens would travel unencrypted.
    """
    section = loaded.settings.bridge.google
    endpoint = section.endpoint.rstrip("/")
    if endpoint and not (endpoint.startswith("https://") or loopback(endpoint)):
        what = "is not an https address, and access tokens would travel unencrypted"
        raise ConfigError([Problem(loaded.origins[_ENDPOINT], _ENDPOINT, what, "leave it out to ask Google itself")])
    for key, file in google_files(loaded, environ).items():
        if reason := exposed(file, READABLE_BY_OTHERS):
            warn_exposed(key, file, reason)
    own = section.credentials_file
    return GoogleAccess(Path(own) if own else None, endpoint)


def google_files(loaded: Loaded, environ: Mapping[str, str]) -> dict[str, Path]:
    """The file with the credentials, by the key or the variable that names it; empty where none does."""
    if own := loaded.settings.bridge.google.credentials_file:
        return {"bridge.google.credentials_file": Path(own)}
    if default := environ.get(_DEFAULT_CREDENTIALS):
        return {_DEFAULT_CREDENTIALS: Path(default)}
    return {}
