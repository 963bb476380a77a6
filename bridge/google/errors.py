"""What can go wrong between the bridge and Google's own APIs, apart from the way there (bridge.delivery.errors).

GoogleError
└── CredentialsError      no credentials, ones that cannot be used, or ones that Google refuses
"""

from __future__ import annotations

from bridge.errors import BridgeError, ExitCode


class GoogleError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.GOOGLE


class CredentialsError(GoogleError):
    """There is no access token to be had."""
