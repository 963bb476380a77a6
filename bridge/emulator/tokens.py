"""Google's token endpoint: a signed JWT of a service account for an access token with a scope and an end.

The signature is not verified, since no public key is known here; all the rest is. Source: RFC 7523 and
developers.google.com/identity/protocols/oauth2/service-account
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import msgspec

from bridge.emulator.google_json import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

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


class _Header(msgspec.Struct):
    alg: str
    typ: str = ""


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    iat: int
    exp: int
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """What an access token allows, and until when."""

    scopes: frozenset[str]
    ends: float


class Tokens:
    """The access tokens that were given.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._given: dict[str, Token] = {}

    def grant(self, form: bytes) -> dict[str, object]:
        """Answer the form that asks for a token.

        Raises:
            GrantRefused: it asks for something else, or its JWT is not good.
        """
        fields = parse_qs(form.decode("ascii", "replace"))
        if fields.get("grant_type") != [_GRANT]:
            raise GrantRefused("unsupported_grant_type", "Invalid grant_type: only the JWT bearer grant is known here.")
        claims = _claims(fields.get("assertion", [""])[0])
        now = self._clock()
        if claims.aud != _AUDIENCE:
            raise GrantRefused("invalid_grant", f"Invalid JWT: aud is not {_AUDIENCE}.")
        if not (claims.iat - 300 <= now < claims.exp <= claims.iat + _LIFETIME):
            raise GrantRefused("invalid_grant", _TIMES)
        if not claims.scope:
            raise GrantRefused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = f"emulated-{len(self._given) + 1}"
        self._given[token] = Token(frozenset(claims.scope.split()), now + _LIFETIME)
        return {"access_token": token, "expires_in": _LIFETIME - 1, "token_type": "Bearer"}

    def scopes(self, token: str) -> frozenset[str]:
        """What a token allows; nothing where it has ended or was revoked, or never was one."""
        given = self._given.get(token)
        return given.scopes if given and self._clock() < given.ends else frozenset()

    def revoke(self, token: str) -> None:
        """End a token before its time."""
        if token in self._given:
            self._given[token] = Token(frozenset(), 0.0)


def _claims(assertion: str) -> _Claims:
    parts = assertion.split(".")
    if len(parts) != 3 or not parts[2]:
        raise GrantRefused("invalid_grant", "Invalid JWT: it is no three parts in base64.")
    try:
        header, claims = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts[:2])
        if msgspec.json.decode(header, type=_Header).alg != "RS256":
            raise GrantRefused("invalid_grant", "Invalid JWT Signature.")
        return msgspec.json.decode(claims, type=_Claims)
    except (binascii.Error, msgspec.DecodeError) as error:
        raise GrantRefused("invalid_grant", f"Invalid JWT: {error}") from error
