"""One request to one of Google's APIs, and what a refusal means: each a single line with the remedy.

Sources: google.aip.dev/193 (errors), google.rpc.ErrorInfo, and each API's page on its errors and quotas.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import urlencode

import msgspec

from bridge import __version__
from bridge.delivery.destination import Request, origin
from bridge.delivery.errors import SendError
from bridge.google.errors import AlreadyThere, BadRequest, GoogleError
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.delivery.destination import Answer
    from bridge.delivery.sender import Sender
    from bridge.google.credentials import Credentials

_T = TypeVar("_T")

_ANSWER_BYTES: Final = 8_000_000
"""A report of 10,000 rows has some 2 MB."""
_SAID: Final = 300
"""Characters of Google's message that are shown."""
_PAGE: Final = "docs/ga4-property.md"


@dataclass(frozen=True, slots=True)
class Service:
    """One of Google's APIs, as its pages and its errors call it."""

    host: str
    name: str


ADMIN: Final = Service("analyticsadmin.googleapis.com", "Google Analytics Admin API")
DATA: Final = Service("analyticsdata.googleapis.com", "Google Analytics Data API")


class _Detail(msgspec.Struct):
    reason: str = ""
    metadata: dict[str, str] = {}


class _Error(msgspec.Struct):
    message: str = ""
    details: list[_Detail] = []
    errors: list[_Detail] = []
    """An older form of the same."""


class _Body(msgspec.Struct):
    error: _Error


class Api:
    """Google's APIs with the operator's credentials.

    Args:
        sender: what requests go out by, open.
        credentials: whose requests they are.
        scope: what they are allowed: reading, or changing too.
    """

    def __init__(self, sender: Sender, credentials: Credentials, scope: str) -> None:
        self._sender = sender
        self._credentials = credentials
        self._scope = scope

    @property
    def account(self) -> str:
        """Whose requests they are, for messages."""
        return self._credentials.account

    async def sign_in(self) -> None:
        """Get an access token, so that missing credentials are found out before anything else.

        Raises:
            GoogleError, ConfigError: there is none to be had.
        """
        await self._token(None)

    async def get(self, service: Service, path: str, kind: type[_T], query: Mapping[str, str]) -> _T:
        """What lies at a path, read as `kind`.

        Raises:
            GoogleError: it cannot be had; the message says why and what to do.
            ConfigError: the file with the credentials cannot be read.
        """
        return self._read(await self._ask(service, "GET", f"{path}?{urlencode(query)}", b""), service, kind)

    async def post(self, service: Service, path: str, body: Mapping[str, object], kind: type[_T]) -> _T:
        """What is answered to a body.

        Raises:
            GoogleError, ConfigError: as for `get`.
        """
        return self._read(await self._ask(service, "POST", path, msgspec.json.encode(body)), service, kind)

    async def _ask(self, service: Service, method: Literal["GET", "POST"], path: str, body: bytes) -> Answer:
        url = f"{self._credentials.endpoint or f'https://{service.host}'}/v1beta/{path}"
        headers = {"content-type": "application/json", "user-agent": f"mongooseim-bridge/{__version__}"}
        request = Request(Secret(url), origin(url), headers, body, method, _ANSWER_BYTES)
        try:
            return await self._sender.send_with(self._token, request, self._sender.total_seconds)
        except SendError as error:
            raise _unreachable(error) from error

    async def _token(self, refused: Secret | None) -> Secret:
        try:
            return await self._credentials.token([self._scope], refused=refused)
        except SendError as error:
            raise _unreachable(error) from error

    def _read(self, answer: Answer, service: Service, kind: type[_T]) -> _T:
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer, service)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            what = f"the answer of the {service.name} cannot be read: {error}"
            raise GoogleError(
                what, "is there a captive portal in between, or is bridge.google.endpoint wrong?"
            ) from error

    def _refusal(self, answer: Answer, service: Service) -> GoogleError:
        """What a refusal means to the operator."""
        try:
            error = msgspec.json.decode(answer.body, type=_Body).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            error = _Error()
        reasons = {detail.reason: detail.metadata for detail in (*error.details, *error.errors) if detail.reason}
        who, said = self.account, error.message[:_SAID]
        match answer.status:
            case HTTPStatus.UNAUTHORIZED:
                return GoogleError(
                    f"the {service.name} refuses the access token of {who}", "is the account disabled or deleted?"
                )
            case HTTPStatus.TOO_MANY_REQUESTS:
                return _quota(service, reasons)
            case HTTPStatus.FORBIDDEN if reasons.keys() & {"RATE_LIMIT_EXCEEDED", "rateLimitExceeded"}:
                return _quota(service, reasons)
            case HTTPStatus.FORBIDDEN if "SERVICE_DISABLED" in reasons:
                default = f"https://console.cloud.google.com/apis/library/{service.host}"
                switch = reasons["SERVICE_DISABLED"].get("activationUrl", default)
                return GoogleError(
                    f"the {service.name} is switched off in the Cloud project of {who}",
                    f"switch it on at {switch} and wait a few minutes",
                )
            case HTTPStatus.FORBIDDEN if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons:
                login = f"https://www.googleapis.com/auth/cloud-platform,{self._scope}"
                return GoogleError(
                    f"the credentials of {who} were not made for the {service.name}",
                    f"run: gcloud auth application-default login --scopes={login}",
                )
            case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND:
                return self._role(service, who)
            case HTTPStatus.CONFLICT:
                return AlreadyThere(f"the {service.name} answered that it exists already")
            case HTTPStatus.BAD_REQUEST:
                return BadRequest(f"the {service.name} answered: {said or 'bad request'}")
        return GoogleError(f"the {service.name} answered {answer.status}: {said}".rstrip(": "), "try again later")

    def _role(self, service: Service, who: str) -> GoogleError:
        reads = self._scope.endswith(".readonly")
        role = "Viewer" if reads else "Editor"
        return GoogleError(
            f"the {service.name} lets {who} not {'read' if reads else 'change'} this property, or it does not exist",
            f"is bridge.google.property_id right? In GA4 at Admin, Property access management, add {who} as {role}; "
            f"where GA4 does not know the address of a new service account, {_PAGE} has the way around",
        )


def _unreachable(error: SendError) -> GoogleError:
    return GoogleError(error.what, error.remedy, phase=error.phase)


def _quota(service: Service, reasons: Mapping[str, Mapping[str, str]]) -> GoogleError:
    limits = [metadata["quota_limit"] for metadata in reasons.values() if "quota_limit" in metadata]
    what = f"the quota of the {service.name} is used up{f' ({limits[0]})' if limits else ''}"
    return GoogleError(what, "try again in a minute; if that does not help, in an hour")
