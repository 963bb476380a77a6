"""Access tokens for Google's APIs: from a service account's key, or from Application Default Credentials.

google-auth (`auth`) knows every kind of credentials. It blocks, so it runs in a thread that is waited for until a
deadline.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.google.errors import GoogleError, NoCredentials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from google.auth.credentials import Credentials as GoogleCredentials

    from bridge.delivery.sender import Sender
    from bridge.secret import Secret

READ_SCOPE: Final = "https://www.googleapis.com/auth/analytics.readonly"
EDIT_SCOPE: Final = "https://www.googleapis.com/auth/analytics.edit"
DATA_MANAGER_SCOPE: Final = "https://www.googleapis.com/auth/datamanager"

TOKEN_SECONDS: Final = 30.0
"""For everything that a token takes; google-auth repeats by itself what failed for the moment."""


class Credentials:
    """The operator's credentials, read when the first token is asked for; a token is kept until it is about to expire.

    Args:
        sender: what requests for tokens go out by; it is open as long as tokens are asked for.
        file: key of a service account as Google's console gives it (JSON); None takes Application Default Credentials.
        endpoint: base URL of all of Google's APIs; empty for Google's own hosts.
    """

    def __init__(self, sender: Sender, file: Path | None = None, endpoint: str = "") -> None:
        self._sender = sender
        self._file = file
        self.endpoint = endpoint
        self._held: dict[tuple[str, ...], GoogleCredentials] = {}
        """By scopes."""
        self._lock = asyncio.Lock()

    @property
    def account(self) -> str:
        """Whose credentials they are: the address of a service account as soon as there is a token, else the file."""
        known = (getattr(each, "service_account_email", "") for each in self._held.values())
        return next(filter(None, known), None) or str(self._file or "this machine")

    async def token(self, scopes: Sequence[str], *, refused: Secret | None = None) -> Secret:
        """An access token that is good for some minutes at least.

        Args:
            scopes: what it is to allow, as few as the work needs.
            refused: a token that an API has answered 401 to; another one is asked for.

        Raises:
            GoogleError: there are no credentials (`NoCredentials`), or Google refuses them.
            ConfigError: the file cannot be read.
            SendError: the token endpoint gave no answer.
        """
        loop = asyncio.get_running_loop()
        async with self._lock:
            try:
                async with asyncio.timeout(TOKEN_SECONDS):
                    return await asyncio.to_thread(self._token, tuple(scopes), refused, loop)
            except TimeoutError as error:
                what = f"Google gave no access token within {TOKEN_SECONDS:.0f} s"
                raise GoogleError(what, "try again later") from error

    def _token(self, scopes: tuple[str, ...], refused: Secret | None, loop: asyncio.AbstractEventLoop) -> Secret:
        try:
            # google-auth takes 0.1 s and 9 MB, which only those pay who use credentials; and it is an extra.
            from bridge.google import auth  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise NoCredentials(
                "google-auth is not installed, and Google's APIs take no request without it",
                "run: pip install 'mongooseim-bridge[google]'",
            ) from error
        transport = auth.Transport(self._sender, self.endpoint, loop)
        if scopes not in self._held:
            self._held[scopes] = auth.load(self._file, scopes, transport)
        return auth.token(self._held[scopes], refused, transport, str(self._file or "this machine"))
