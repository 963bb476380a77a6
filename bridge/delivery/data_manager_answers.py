"""What the Data Manager API answers: taken, refused for some events, or refused for who asks.

Source: developers.google.com/data-manager/api/devguides/concepts/understand-errors
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import msgspec

from bridge.delivery.errors import Cause, DestinationError, SendError
from bridge.delivery.retry import check
from bridge.delivery.validation import Objection
from bridge.state.receipts import Processed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.delivery.destination import Answer
    from bridge.state.queue import Batch

SCOPE: Final = "https://www.googleapis.com/auth/datamanager"
_PATH: Final = re.compile(r"events\[(\d+)\]\.?(?:additional_?[eE]vent_?[pP]arameters\[(\d+)\])?\.?([\w.]*)")
_OFF: Final = "SERVICE_DISABLED"
_FAILED: Final = frozenset({"FAILED", "FAILURE"})
"""Google's prose says FAILURE where its types say FAILED."""
_ENDED: Final = _FAILED | {"SUCCESS", "PARTIAL_SUCCESS"}
_PROCESSING: Final = "PROCESSING_ERROR_REASON_"
_NO_SCOPE: Final = "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


class _Violation(msgspec.Struct):
    field: str = ""
    description: str = ""
    reason: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    reason: str = ""
    metadata: dict[str, str] = {}
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    message: str = ""
    details: list[_Detail] = []


class _Count(msgspec.Struct, rename="camel"):
    record_count: int | str = 0
    reason: str = ""


class _ErrorInfo(msgspec.Struct, rename="camel"):
    error_counts: list[_Count] = []


class _Status(msgspec.Struct, rename="camel"):
    request_status: str = ""
    error_info: _ErrorInfo = msgspec.field(default_factory=_ErrorInfo)


class _Answer(msgspec.Struct, rename="camel"):
    request_id: str = ""
    request_status_per_destination: list[_Status] = []
    field_warnings: list[_Violation] = []
    error: _Error = msgspec.field(default_factory=_Error)


class EventsRefused(SendError):
    """A request failed as a whole for some of its events.

    Args:
        peer: who refused it.
        events: index in the request of each bad event, and why.
    """

    def __init__(self, peer: str, events: Mapping[int, str]) -> None:
        self.events = events
        super().__init__(peer, Cause(f"refused {len(events)} events", ""), next(iter(events.values())), final=True)


def taken(answer: Answer, body: bytes, peer: str, now: int) -> str | None:
    """The receipt for a body that was taken.

    401 and 403 are tried again: an operator who switches the API on or gives the role within 71 hours keeps the
    reports.

    Args:
        answer: what came back.
        body: of the request.
        peer: whose answer, for messages.
        now: µs since 1970.

    Raises:
        EventsRefused: it was not, because of some events.
        SendError: it was not, for another reason.
    """
    whole = _read(answer)
    said = whole.error
    if answer.status == 400 and (refused := dict(_refused(said, body))):
        raise EventsRefused(peer, refused)
    if answer.status == 400 and said.message:
        found = [f"{each.field}: {each.reason} {each.description}" for each in _violations(said)]
        remedy = "do measurement_id and property_id belong together?"
        raise SendError(peer, Cause("refuses the request", remedy), ", ".join(found) or said.message, final=True)
    if answer.status in (401, 403) and said.message:
        raise SendError(peer, _denied(answer.status, said))
    check(answer, peer, now)
    return whole.request_id or None


def processing(answer: Answer, events: int, peer: str, now: int) -> Processed | None:
    """What became of the events of a request; None where it is still processed.

    Raises:
        SendError: the answer does not say.
    """
    taken(answer, b"", peer, now)
    whole = _read(answer).request_status_per_destination
    if not whole or whole[0].request_status not in _ENDED:
        return None
    counts = whole[0].error_info.error_counts
    reasons = (f"{each.reason.removeprefix(_PROCESSING)} ({each.record_count})" for each in counts)
    failed = events if whole[0].request_status in _FAILED else sum(int(each.record_count) for each in counts)
    return Processed(failed, ", ".join(reasons) or None)


def objections(answer: Answer, batch: Batch, body: bytes, peer: str, now: int) -> tuple[Objection, ...]:
    """The objections to a batch that was only to be validated.

    Raises:
        DestinationError: what answered is not the Data Manager API.
        SendError: it refuses for another reason than what the batch holds.
    """
    said = _read(answer)
    refused = _violations(said.error)
    if not refused:
        taken(answer, body, peer, now)
        if not said.request_id:
            raise DestinationError(f"{peer} answered {answer.status} and no validation", "is the endpoint right?")
    return (
        *(_objection(each, batch, drops=True) for each in refused),
        *(_objection(each, batch, drops=False) for each in said.field_warnings),
    )


def _denied(status: int, said: _Error) -> Cause:
    reasons = {detail.reason: detail.metadata for detail in said.details if detail.reason}
    if _OFF in reasons:
        page = reasons[_OFF].get("activationUrl", "https://console.cloud.google.com/apis/library")
        return Cause("refuses: the Data Manager API is off in the project of the credentials", f"enable it: {page}")
    if _NO_SCOPE in reasons:
        return Cause(f"refuses: the credentials do not allow {SCOPE}", "log in again with it among the --scopes")
    if status == 401:
        return Cause("refuses the access token", "are the credentials of bridge.google still valid?")
    return Cause(
        "refuses: the account of the credentials has no right to write to the property",
        "make it Editor there (GA4: Admin, Property access management), and check property_id",
    )


def _read(answer: Answer) -> _Answer:
    try:
        return msgspec.json.decode(answer.body or b"{}", type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):  # another program answers, or the answer was cut
        return _Answer()


def _violations(said: _Error) -> list[_Violation]:
    return [each for detail in said.details for each in detail.field_violations]


def _refused(said: _Error, body: bytes) -> Iterator[tuple[int, str]]:
    """The events that violations are about, each with event, parameter and reason in words."""
    found = [(_PATH.search(each.field), each) for each in _violations(said)]
    events = json.loads(body)["events"] if any(path for path, _ in found) else []
    for path, each in found:
        if path and int(path[1]) < len(events):
            yield int(path[1]), _words(events[int(path[1])], path, each)


def _words(event: Mapping[str, object], path: re.Match[str], violation: _Violation) -> str:
    about, field = f"event {event['eventName']!r}", path[3]
    parameters = event["additionalEventParameters"]
    if path[2] and isinstance(parameters, list) and int(path[2]) < len(parameters):
        about, field = f"{about}, param {parameters[int(path[2])]['parameterName']!r}", ""
    return f"{about}: {f'{field} ' if field else ''}{violation.reason} {violation.description}".rstrip()


def _objection(violation: _Violation, batch: Batch, *, drops: bool) -> Objection:
    path = _PATH.search(violation.field)
    index = int(path[1]) if path else batch.events
    event = batch.first + index if index < batch.events else None
    return Objection(event, violation.field, violation.description, violation.reason, drops)
