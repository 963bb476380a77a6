"""google-auth put to use: credentials of every kind, and its requests over the bridge's own sender.

The only module that imports google-auth.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import google.auth
from google.auth import transport
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.oauth2 import service_account

from bridge.config.files import read
from bridge.config.secrets import DEFAULT_CREDENTIALS
from bridge.delivery.destination import Request, origin
from bridge.delivery.errors import SendError
from bridge.google.errors import GoogleError, NoCredentials
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from google.auth.credentials import Credentials

    from bridge.delivery.sender import Sender
    from bridge.errors import BridgeError

_KEY: Final = "bridge.google.credentials_file"
_GOOGLE: Final = ".googleapis.com"
_SAID: Final = 200
"""Characters of Google's reason that are shown."""


def load(file: Path | None, scopes: Sequence[str], transport: Transport) -> Credentials:
    """Credentials for some scopes.

    Args:
        file: key of a service account; None takes Application Default Credentials.
        scopes: what tokens are to allow.
        transport: how requests are sent.

    Raises:
        GoogleError: there are no credentials (`NoCredentials`), or they cannot be used.
        ConfigError: the file cannot be read.
    """
    # It warns of each kind of credentials that it looks for and does not find.
    logging.getLogger("google.auth").setLevel(logging.ERROR)
    return _service_account(file, scopes) if file else _default(scopes, transport)


def token(held: Credentials, refused: Secret | None, transport: Transport, whose: str) -> Secret:
    """A token that is not about to expire, and not the one that was refused.

    Raises:
        GoogleError: Google refuses the credentials.
        SendError: the token endpoint gave no answer.
    """
    if not held.valid or (refused and held.token == refused.reveal()):
        try:
            held.refresh(transport)  # type: ignore[no-untyped-call]
        except GoogleAuthError as error:
            raise _cause(error, whose) from error
    return Secret(str(held.token))


def _service_account(file: Path, scopes: Sequence[str]) -> Credentials:
    try:
        key = json.loads(read(file, _KEY))
        account: Credentials = service_account.Credentials.from_service_account_info(key, scopes=scopes)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError):
        raise GoogleError(
            f"{file} ({_KEY}) does not hold the key of a service account",
            "make a key of type JSON: Google Cloud console, IAM & Admin, Service Accounts, Keys",
        ) from None  # what could not be parsed may be quoted
    return account


def _default(scopes: Sequence[str], transport: Transport) -> Credentials:
    try:
        found, _ = google.auth.default(scopes, request=transport)
    except DefaultCredentialsError as error:
        if file := os.environ.get(DEFAULT_CREDENTIALS):
            what = f"{file} ({DEFAULT_CREDENTIALS}) does not hold credentials of Google's"
            raise GoogleError(what, f"name another file, or unset {DEFAULT_CREDENTIALS}") from error
        logins = ",".join(("https://www.googleapis.com/auth/cloud-platform", *scopes))
        # google-auth asks the metadata server of a machine in Google's cloud by this library, which it may do without.
        cloud = "" if find_spec("requests") else "; for a machine in Google's cloud run: pip install requests"
        raise NoCredentials(
            f"there are no Google credentials: {_KEY} is not set, and this machine has none of its own",
            "name the key of a service account there, or "
            f"run: gcloud auth application-default login --scopes={logins}{cloud}",
        ) from error
    return found


def _cause(error: GoogleAuthError, whose: str) -> BridgeError:
    """What the operator can do something about, instead of google-auth's own words."""
    for each in (error, error.__cause__):
        if each and each.args and isinstance(each.args[0], SendError):
            return each.args[0]
    return GoogleError(
        f"Google refuses the credentials of {whose}: {_said(error)}",
        "is the key or login still valid, the account not disabled, and this machine's clock right?",
    )


def _said(error: GoogleAuthError) -> str:
    """Google's reason: error and error_description of its answer (RFC 6749, section 5.2)."""
    answer = error.args[1] if len(error.args) > 1 else None
    if not isinstance(answer, dict):
        return type(error).__name__
    return ": ".join(str(answer[name]) for name in ("error", "error_description") if answer.get(name))[:_SAID]


@dataclass(frozen=True, slots=True)
class _Response:
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Transport(transport.Request):
    """Called in a thread, it sends on the event loop.

    Args:
        sender: what it sends by.
        endpoint: base URL that takes the place of Google's hosts; empty for those.
        loop: the sender's.
    """

    def __init__(self, sender: Sender, endpoint: str, loop: asyncio.AbstractEventLoop) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._loop = loop

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Response:
        """One exchange.

        Raises:
            TransportError: there was no answer; it holds our own error.
        """
        if self._endpoint and (urlsplit(url).hostname or "").endswith(_GOOGLE):
            url = self._endpoint + url.removeprefix(origin(url))
        request = Request(Secret(url), origin(url), headers or {}, body or b"", method)
        most = self._sender.total_seconds
        sending = self._sender.send(request, min(timeout or most, most))
        try:
            answer = asyncio.run_coroutine_threadsafe(sending, self._loop).result()
        except SendError as error:
            failed = error
        else:
            return _Response(answer.status, answer.headers, answer.body)
        raise TransportError(failed)  # type: ignore[no-untyped-call]  # unchained: the cause is raised again, from this
