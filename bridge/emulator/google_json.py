"""The bodies of Google's APIs: requests read as strictly as Google reads them, and refusals with their details.

Source: google.aip.dev/193 (errors) and google.rpc.error_details; texts as the APIs send them, where they are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from bridge.emulator.faults import Api
from bridge.emulator.verdict import NOTHING, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.emulator.ga_property import GaProperty
    from bridge.emulator.record import RecordedEvent

T = TypeVar("T")

_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CREDENTIALS: Final = "Expected OAuth 2 access token, login cookie or other valid authentication credential."


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose token is good for it."""

    place: GaProperty
    """The property that its path names, or the emulator's."""
    properties: Mapping[str, GaProperty]
    """All that the caller has a role in, by number."""
    events: Iterable[RecordedEvent]
    """What arrived, at any property."""
    query: Mapping[str, str]
    body: bytes
    now: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the events that were taken with it."""

    value: object
    measurement_id: str | None = None
    verdict: Verdict = NOTHING
    status: int = 200


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Part of a request, with the fields that the bridge sends; another one is an error."""


class Refusal(Exception):
    """A request is refused.

    Args:
        code: the HTTP status.
        message: for people.
        details: for programs; see `error_info` and `violations`.
    """

    def __init__(self, code: int, message: str, *details: Mapping[str, object]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def body(self) -> dict[str, object]:
        """The body of the answer."""
        error = {"code": self.code, "message": self.message, "status": _STATUS.get(self.code, "UNKNOWN")}
        return {"error": {**error, "details": list(self.details)} if self.details else error}


def decode(body: bytes, kind: type[T]) -> T:
    """Read a body: an unknown field, a wrong type and an unknown enum value are errors.

    Raises:
        Refusal: 400, it is not of that kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"Invalid JSON payload received. {error}") from error


def error_info(reason: str, *, domain: str = "googleapis.com", **metadata: str) -> dict[str, object]:
    """The detail by which programs tell causes apart."""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "domain": domain, "metadata": metadata}


def violations(each: Iterable[tuple[str, str, str]]) -> dict[str, object]:
    """The detail that names bad fields, from triples of field, description and reason."""
    found = [{"field": field, "description": text, "reason": reason} for field, text, reason in each]
    return {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": found}


def missing_token(api: Api) -> Refusal:
    """There is no token in the request."""
    text = f"Request is missing required authentication credential. {_CREDENTIALS}"
    return Refusal(401, text, error_info("CREDENTIALS_MISSING", service=api.service))


def bad_token(api: Api) -> Refusal:
    """The token has expired, was revoked, or never was one."""
    text = f"Request had invalid authentication credentials. {_CREDENTIALS}"
    return Refusal(401, text, error_info("ACCESS_TOKEN_EXPIRED", service=api.service))


def missing_scope(api: Api) -> Refusal:
    """The token is not for this."""
    text = "Request had insufficient authentication scopes."
    return Refusal(403, text, error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", service=api.service))


def missing_role() -> Refusal:
    """The account that the token is for has no role on the property; Google does not say whether there is one."""
    return Refusal(403, "The caller does not have permission")


def disabled(api: Api) -> Refusal:
    """The API is not switched on in the Cloud project of the token's account."""
    page = f"https://console.developers.google.com/apis/api/{api.service}/overview?project=123"
    return Refusal(
        403,
        f"{api.service} has not been used in project 123 before or it is disabled. Enable it by visiting {page} then "
        "retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and "
        "retry.",
        error_info("SERVICE_DISABLED", service=api.service, consumer="projects/123", activationUrl=page),
    )


def on_purpose(api: Api, code: int) -> Refusal:
    """The refusal with a status that `--fail` asks for."""
    match code:
        case 400:
            field = "events.events[0].event_name" if api is Api.DATA_MANAGER else "on_purpose"
            bad = violations([(field, "Refused on purpose.", "INVALID_ARGUMENT")])
            return Refusal(400, "There was a problem with the request.", bad)
        case 401:
            return bad_token(api)
        case 403:
            return missing_role()
        case 429:
            text = f"Quota exceeded for quota metric 'Requests' of service '{api.service}'."
            return Refusal(429, text, error_info("RATE_LIMIT_EXCEEDED", service=api.service, quota_limit="Requests"))
    return Refusal(code, f"{code} on purpose")
