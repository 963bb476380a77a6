"""GA4's validator: the same body to `/debug/mp/collect`, which records nothing and says what it would not take.

It checks neither measurement id nor secret. Source:
developers.google.com/analytics/devguides/collection/protocol/ga4/validating-events
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import DestinationError

if TYPE_CHECKING:
    from bridge.delivery.destination import Answer, Request
    from bridge.delivery.ga4 import Ga4Destination
    from bridge.state.queue import Batch

_COLLECT: Final = "/mp/collect"
_DEBUG: Final = "/debug/mp/collect"
_STRICT: Final = b'{"validation_behavior":"ENFORCE_RECOMMENDATIONS",'
_INDEX: Final = re.compile(r"events\W{0,3}(\d+)|Event at index: \[?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Objection:
    """One objection. `event` is an index into the report's events, None where it is about the request as a whole."""

    event: int | None
    field: str
    description: str
    code: str
    drops: bool = True
    """Whether GA4 would drop something for this: it takes any Client ID, of whatever form."""


def validation_request(destination: Ga4Destination, body: bytes, collected_at: int) -> Request:
    """The request that asks the validator about a batch's body, with every recommendation enforced.

    Raises:
        DestinationError: the endpoint has no validator that is known.
    """
    if not destination.endpoint.endswith(_COLLECT):
        raise DestinationError(
            f"{destination.name} has no validator", f"GA4's is known for endpoints that end in {_COLLECT} only"
        )
    debug = replace(destination, endpoint=destination.endpoint.removesuffix(_COLLECT) + _DEBUG)
    return debug.request(_STRICT + body.removeprefix(b"{"), collected_at)


def objections(answer: Answer, batch: Batch, peer: str) -> tuple[Objection, ...]:
    """The validator's objections to a batch, mapped back to the events of the report.

    Raises:
        DestinationError: what answered is no validator.
    """
    try:
        listed = json.loads(answer.body)["validationMessages"]
        return tuple(_objection(entry, batch) for entry in listed)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DestinationError(
            f"{peer} answered {answer.status} and no validation", "is the endpoint right?"
        ) from error


def _objection(entry: dict[str, object], batch: Batch) -> Objection:
    field, description = str(entry.get("fieldPath", "")), str(entry.get("description", ""))
    found = _INDEX.search(field) or _INDEX.search(description)
    index = int(found[1] or found[2]) if found else None
    event = batch.first + index if index is not None and index < batch.events else None
    return Objection(event, field, description, str(entry.get("validationCode", "")), field != "client_id")
