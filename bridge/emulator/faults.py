"""Failing on purpose: the modes of `--fail`, and the plan that says which request meets which."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORM: Final = re.compile(
    r"""(?P<kind>ok | drop | cut | hang | slow=(?P<seconds>\d+(\.\d+)?) | (?P<status>[345]\d\d))
        (:retry-after=(?P<retry_after>[ -)+-~]+))?
        (\*(?P<count>[1-9]\d*))?""",
    re.VERBOSE | re.ASCII,
)
FORMS: Final = "ok, drop, cut, hang, slow=SECONDS, a status as 503 or 429:retry-after=2; *N for N requests only"


class FaultError(BridgeError):
    """A fault mode that does not exist."""


class Kind(Enum):
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


@dataclass(frozen=True, slots=True)
class Fault:
    """One mode and how many requests it is for."""

    kind: Kind
    status: int = 0
    retry_after: str | None = None
    """Value of the header of that name: seconds or an HTTP date."""
    seconds: float = 0.0
    count: int | None = None
    """None: every request from then on."""

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `500`, `429:retry-after=2`, `slow=1.5*3`.

        Raises:
            FaultError: it is none of the modes.
        """
        match = _FORM.fullmatch(text.strip())
        if not match or (match["retry_after"] and not match["status"]):
            raise FaultError(f"{text!r} is no way to fail; there are: {FORMS}")
        status, seconds = match["status"], match["seconds"]
        kind = Kind.STATUS if status else Kind.SLOW if seconds else Kind(match["kind"])
        count = int(match["count"]) if match["count"] else None
        return cls(kind, int(status or 0), match["retry_after"], float(seconds or 0), count)

    def __str__(self) -> str:
        mode = {Kind.STATUS: str(self.status), Kind.SLOW: f"slow={self.seconds:g}"}.get(self.kind, self.kind.value)
        after = f":retry-after={self.retry_after}" if self.retry_after else ""
        return f"{mode}{after}{f'*{self.count}' if self.count else ''}"


class Plan:
    """The faults that requests meet, one after the other; when they are used up, everything works."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._queue = deque(faults)
        self._used = 0

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read modes on lines or between semicolons, as `500*3; slow=2*1`; an empty text is no fault at all.

        Raises:
            FaultError: one of them is no mode.
        """
        return cls([Fault.parse(mode) for mode in re.split("[\n;]", text) if mode.strip()])

    def next(self) -> Fault:
        """The fault of the next request, without its count."""
        if not self._queue:
            return Fault(Kind.OK)
        fault = self._queue[0]
        self._used += 1
        if fault.count is not None and self._used >= fault.count:
            self._queue.popleft()
            self._used = 0
        return replace(fault, count=None)

    def __str__(self) -> str:
        """What is still to come, in the form that `parse` reads."""
        first = [self._left(self._queue[0])] if self._queue else []
        return "; ".join(map(str, [*first, *list(self._queue)[1:]]))

    def _left(self, fault: Fault) -> Fault:
        return fault if fault.count is None else replace(fault, count=fault.count - self._used)
