"""Google's token endpoint: a signed JWT of a service account for an access token with a scope and an end.

The signature is not verified, since no public key is known here; all the rest is. Source: RFC 7523 and
developers.google.com/identity/protocols/oauth2/service-account
"""

from __future__ import annotations

import base64
import binascii
import itertools
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import msgspec

from bridge.emulator.google_json import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.emulator.google_json import Call

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE: Final = "https://oauth2.googleapis.com/token"
_LIFETIME: Final = 3600
_TIMES: Final = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


class GrantRefused(Refusal):
    """No token is given. Source of the form: RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(400, description)
        self.error = error

    def body(self) -> dict[str, object]:
        """The body of the answer."""
        return {"error": self.error, "error_description": self.message}


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    iat: int
    exp: int
    scope: str = ""


class Tokens:
    """The access tokens that were given.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._given: dict[str, tuple[frozenset[str], float]] = {}
        """What each token allows, and until when."""

    def grant(self, call: Call) -> dict[str, object]:
        """Answer the form that asks for a token.

        Raises:
            GrantRefused: it asks for something else, or its JWT is not good.
        """
        fields = parse_qs(call.body.decode("ascii", "replace"))
        if fields.get("grant_type") != [_GRANT]:
            raise GrantRefused("unsupported_grant_type", "Invalid grant_type: only the JWT bearer grant is known here.")
        claims = _claims(fields.get("assertion", [""])[0])
        now = call.now
        if claims.aud != _AUDIENCE:
            raise GrantRefused("invalid_grant", f"Invalid JWT: aud is not {_AUDIENCE}.")
        if not (claims.iat - 300 <= now < claims.exp <= claims.iat + _LIFETIME):
            raise GrantRefused("invalid_grant", _TIMES)
        if not claims.scope:
            raise GrantRefused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = f"emulated-{next(self._numbers)}"
        self._given[token] = (frozenset(claims.scope.split()), now + _LIFETIME)
        return {"access_token": token, "expires_in": _LIFETIME - 1, "token_type": "Bearer"}

    def scopes(self, token: str) -> frozenset[str]:
        """What a token allows; nothing where it has ended or was revoked, or never was one."""
        scopes, ends = self._given.get(token, (frozenset[str](), 0.0))
        return scopes if self._clock() < ends else frozenset()

    def revoke(self, token: str) -> None:
        """End a token before its time."""
        self._given.pop(token, None)


def _claims(assertion: str) -> _Claims:
    parts = assertion.split(".")
    if len(parts) != 3 or not parts[2]:
        raise GrantRefused("invalid_grant", "Invalid JWT: it is no three parts in base64.")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims)
    except (binascii.Error, msgspec.DecodeError) as error:
        raise GrantRefused("invalid_grant", f"Invalid JWT: {error}") from error
