"""The Data Manager API as a destination: Google's successor of the Measurement Protocol, which says what it refuses.

Sources: developers.google.com/data-manager/api/reference/rest/v1/events/ingest and
…/devguides/events/analytics/measurement-protocol/upgrade/field-mappings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from bridge.delivery.batches import cut, json_of, params
from bridge.delivery.data_manager_answers import SCOPE, EventsRefused, objections, processing, taken
from bridge.delivery.destination import Request, origin
from bridge.delivery.ga4 import HEADERS
from bridge.secret import Secret
from bridge.state.queue import Outcome, Settled
from bridge.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Container

    from bridge.delivery.batches import Location
    from bridge.delivery.sender import Sender
    from bridge.delivery.validation import Objection
    from bridge.report.model import Event, Report
    from bridge.state.queue import Batch, Queued
    from bridge.state.receipts import Processed, Receipt

ENDPOINT: Final = "https://datamanager.googleapis.com"
EVENTS_PER_REQUEST: Final = 2_000
_BODY_BYTES: Final = 1_000_000
"""Google names no limit; 2,000 of our events have 0.7 MB."""
_ANSWER_BYTES: Final = 4_000_000
"""A violation of each of 2,000 events has some 300 bytes."""
_ROUNDS: Final = 10
"""Requests for one batch: Google does not say that a refusal names every bad event."""
_TIMESTAMP: Final = re.compile(rb'"eventTimestamp":"[^"]*"')
_OWN_FIELD: Final = "value"
"""The one parameter of ours that may only be sent as a number, in a field of its own."""


@dataclass(frozen=True, slots=True)
class DataManagerDestination:
    """The web stream of one GA4 property, by the Data Manager API."""

    measurement_id: str
    property_id: str
    endpoint: str = ENDPOINT
    location: Location | None = None

    @property
    def id(self) -> str:
        """Kind, measurement id, property and endpoint."""
        return f"data-manager {self.measurement_id} {self.property_id} {self.endpoint}"

    @property
    def name(self) -> str:
        """The measurement id, the kind, and the host where it is not Google's."""
        host = "" if self.endpoint == ENDPOINT else f" at {urlsplit(self.endpoint).netloc}"
        return f"{self.measurement_id} by Data Manager{host}"

    @property
    def peer(self) -> str:
        """Scheme, host and port of the endpoint, for messages."""
        return origin(self.endpoint)

    def batches(self, report: Report) -> tuple[Batch, ...]:
        """Cut a report into requests of at most 2,000 events, in the order of its events.

        Raises:
            LimitError: GA4 would drop or cut something.
        """
        account = {"accountType": "GOOGLE_ANALYTICS_PROPERTY", "accountId": self.property_id}
        where = {"operatingAccount": account, "loginAccount": account, "productDestinationId": self.measurement_id}
        denied = {"adUserData": "CONSENT_DENIED", "adPersonalization": "CONSENT_DENIED"}
        head = {"destinations": [where], "consent": denied}
        return cut(report, head, partial(self._event, report), EVENTS_PER_REQUEST, _BODY_BYTES)

    def _event(self, report: Report, event: Event) -> dict[str, object]:
        whole: dict[str, object] = {
            "eventName": event.name,
            "clientId": report.client_id,
            "eventTimestamp": rfc3339(report.collected_at),
            "eventSource": "WEB",
            "additionalEventParameters": [
                {"parameterName": name, "value": str(value)}
                for name, value in params(event, report).items()
                if name != _OWN_FIELD
            ],
        }
        value = event.params.get(_OWN_FIELD)
        if value is not None and not isinstance(value, str):  # a text has no place there; pools say it in `pool` too
            whole["conversionValue"] = value
        if self.location and (known := self.location.named("regionCode", "subdivisionCode", "city")):
            whole["eventLocation"] = known
        return whole

    def request(self, body: bytes, collected_at: int) -> Request:
        """The POST of a body, each of its events stamped with the time of collection (µs since 1970)."""
        stamped = _TIMESTAMP.sub(b'"eventTimestamp":"%s"' % rfc3339(collected_at).encode(), body)
        url = Secret(f"{self.endpoint}/v1/events:ingest")
        return Request(url, self.peer, HEADERS, stamped, most=_ANSWER_BYTES, scope=SCOPE)

    async def deliver(self, batch: Queued, sender: Sender, now: int) -> Settled:
        """Send a batch; where it fails for some of its events, send it again without them.

        Raises:
            SendError: nothing of it was taken.
        """
        refused: dict[int, str] = {}
        for _ in range(_ROUNDS):
            body = _without(refused, batch.body) if refused else batch.body
            answer = await sender.send(self.request(body, batch.collected_at), sender.total_seconds)
            try:
                receipt = taken(answer, body, self.peer, now)
            except EventsRefused as error:
                left = [index for index in range(batch.events) if index not in refused]
                refused |= {left[index]: reason for index, reason in error.events.items()}
                if len(refused) == batch.events:
                    raise
            else:
                reason = next(iter(refused.values()), None)
                return Settled(batch, Outcome.DELIVERED, reason, refused, receipt)
        raise EventsRefused(self.peer, refused)

    async def processed(self, receipt: Receipt, sender: Sender, now: int) -> Processed | None:
        """What became of the events of a request, which Google says in numbers and not event by event.

        Raises:
            SendError: it does not say.
        """
        query = urlencode({"requestId": receipt.text})
        url = Secret(f"{self.endpoint}/v1/requestStatus:retrieve?{query}")
        answer = await sender.send(Request(url, self.peer, HEADERS, b"", "GET", scope=SCOPE), sender.total_seconds)
        return processing(answer, receipt.events, self.peer, now)

    async def validate(
        self, batch: Batch, sender: Sender, *, collected_at: int, seconds: float
    ) -> tuple[Objection, ...]:
        """What the API would refuse or warn of in a batch.

        Raises:
            DestinationError: what answered is not the Data Manager API.
            SendError: it gave no answer, or refuses for another reason than what the batch holds.
        """
        body = b'{"validateOnly":true,' + batch.body.removeprefix(b"{")
        answer = await sender.send(self.request(body, collected_at), seconds)
        return objections(answer, batch, body, self.peer, collected_at)


def _without(events: Container[int], body: bytes) -> bytes:
    """A body without some of its events."""
    whole = json.loads(body)
    return json_of({**whole, "events": [event for index, event in enumerate(whole["events"]) if index not in events]})
