"""What can go wrong with Google's own APIs: each says what and what to do; those that somebody acts on have a name.

GoogleError
├── NoCredentials     there are none, or nothing to use them with
├── AlreadyThere      what was to be made exists
└── BadRequest        what was asked makes no sense to an API, as a name that is not registered
"""

from __future__ import annotations

from bridge.errors import BridgeError, ExitCode


class GoogleError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.GOOGLE


class NoCredentials(GoogleError):
    """There are no credentials, or nothing to use them with."""


class AlreadyThere(GoogleError):
    """What was to be made exists."""


class BadRequest(GoogleError):
    """What was asked makes no sense to the API."""
