"""Failing on purpose: the modes of `--fail`, and the plan that says which request meets which."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from bridge.errors import BridgeError

_FORM: Final = re.compile(
    r"""(?P<mode>
            ((?P<api>token | admin | data | data-manager):)?
            ((?P<kind>ok | drop | cut | hang | (?<=:)disabled) | slow=(?P<seconds>\d+(\.\d+)?) |
            (?P<status>[345]\d\d) (:retry-after=(?P<retry_after>[ -)+-~]+))?)
        )
        (\*(?P<count>[1-9]\d*))?""",
    re.VERBOSE | re.ASCII,
)
_MODES: Final = (
    "ok, drop, cut, hang, slow=SECONDS, a status as 503 or 429:retry-after=2, *N for N requests only; "
    "token:, admin:, data: or data-manager: before it for one of Google's own APIs, which can be disabled too"
)


class FaultError(BridgeError):
    """A fault mode that does not exist."""


class Api(Enum):
    """What a request is for; the value stands before a fault of it."""

    COLLECT = None
    """The Measurement Protocol, both endpoints."""
    TOKEN = "token"  # noqa: S105 - a name
    ADMIN = "admin"
    DATA = "data"
    DATA_MANAGER = "data-manager"

    @property
    def service(self) -> str:
        """Its host, which is also the name of the service in the Cloud console and in errors."""
        hosts = {Api.TOKEN: "oauth2", Api.ADMIN: "analyticsadmin", Api.DATA: "analyticsdata"}
        return f"{hosts.get(self, 'datamanager')}.googleapis.com"


class FaultKind(Enum):
    """What becomes of a request."""

    OK = "ok"
    """It is answered as GA4 does; useful with a count, before a fault."""
    STATUS = "status"
    """It is refused with a status code."""
    DROP = "drop"
    """The connection is closed without an answer."""
    CUT = "cut"
    """The events are taken, and the connection is closed in the middle of the answer."""
    HANG = "hang"
    """No answer comes, and the connection stays open."""
    SLOW = "slow"
    """The answer comes after some seconds."""
    DISABLED = "disabled"
    """One of Google's own APIs is switched off in the project of the caller."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One mode and how many requests it is for."""

    mode: str
    """As it is written, without the count."""
    kind: FaultKind
    api: Api = Api.COLLECT
    count: int | None = None
    """None: every request from then on."""
    status: int = 0
    retry_after: str | None = None
    """Value of the header of that name: seconds or an HTTP date."""
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `500`, `429:retry-after=2`, `slow=1.5*3`.

        Raises:
            FaultError: it is none of the modes.
        """
        match = _FORM.fullmatch(text.strip())
        if not match:
            raise FaultError(f"{text!r} is no way to fail", f"there are: {_MODES}")
        status, seconds = match["status"], match["seconds"]
        kind = FaultKind.STATUS if status else FaultKind.SLOW if seconds else FaultKind(match["kind"])
        count = int(match["count"]) if match["count"] else None
        api, status, seconds = Api(match["api"]), int(status or 0), float(seconds or 0)
        return cls(match["mode"], kind, api, count, status, match["retry_after"], seconds)

    def __str__(self) -> str:
        return f"{self.mode}*{self.count}" if self.count else self.mode


class FaultPlan:
    """The faults that requests meet, one after the other; when they are used up, everything works."""

    def __init__(self, text: str) -> None:
        """Read modes on lines or between semicolons, as `500*3; data:429*1`; an empty text is no fault at all.

        Raises:
            FaultError: one of them is no mode.
        """
        self._queue = [Fault.parse(mode) for mode in re.split("[\n;]", text) if mode.strip()]

    def next(self, api: Api = Api.COLLECT) -> Fault:
        """The fault of the next request to an API."""
        index, fault = next(
            ((index, fault) for index, fault in enumerate(self._queue) if fault.api is api),
            (-1, Fault("ok", FaultKind.OK)),
        )
        if fault.count == 1:
            del self._queue[index]
        elif fault.count:
            self._queue[index] = replace(fault, count=fault.count - 1)
        return fault

    def __str__(self) -> str:
        """What is still to come, in the form that this reads."""
        return "; ".join(map(str, self._queue))
