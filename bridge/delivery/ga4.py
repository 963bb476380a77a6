"""Google Analytics 4 as a destination: the Measurement Protocol's endpoint, its request and what its answers mean.

A 2xx says that the request arrived and nothing more: a wrong secret, an unknown property and a broken payload get the
same. Source: developers.google.com/analytics/devguides/collection/protocol/ga4
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from bridge import __version__
from bridge.delivery.batches import Location, batches
from bridge.delivery.destination import Request, origin
from bridge.delivery.errors import DestinationError
from bridge.delivery.retry import check
from bridge.delivery.validation import objections, validation_request
from bridge.secret import Secret
from bridge.state.queue import Outcome, Settled

if TYPE_CHECKING:
    from bridge.delivery.sender import Sender
    from bridge.delivery.validation import Objection
    from bridge.report.model import Report
    from bridge.state.queue import Batch, Queued
    from bridge.state.receipts import Processed, Receipt

GLOBAL_ENDPOINT: Final = "https://www.google-analytics.com/mp/collect"
HEADERS: Final = {
    "accept": "*/*",
    "content-type": "application/json",
    "user-agent": f"mongooseim-bridge/{__version__}",
}
_MEASUREMENT_ID: Final = re.compile(r"G-[A-Z0-9]{4,20}")
_TIMESTAMP: Final = re.compile(rb'"timestamp_micros":\d+')


@dataclass(frozen=True, slots=True)
class Ga4Destination:
    """One GA4 property behind one endpoint (global, EU, or a relay).

    Raises:
        DestinationError: the measurement id or the endpoint is not one.
    """

    measurement_id: str
    secret: Secret | None
    """None where reports are only queued, for another process to deliver."""
    endpoint: str = GLOBAL_ENDPOINT
    location: Location | None = None

    def __post_init__(self) -> None:
        if not _MEASUREMENT_ID.fullmatch(self.measurement_id):
            raise DestinationError(
                f"{self.measurement_id!r} is not a measurement id", "GA4 shows it as G-XXXXXXXX (Admin, Data streams)"
            )
        _checked(self.measurement_id, self.endpoint)

    @property
    def id(self) -> str:
        """Measurement id and endpoint: the same property through a relay is another destination."""
        return f"{self.measurement_id} {self.endpoint}"

    @property
    def name(self) -> str:
        """The measurement id alone where the endpoint is Google's, else with the host that the reports go to."""
        host = urlsplit(self.endpoint).netloc
        return self.measurement_id if self.endpoint == GLOBAL_ENDPOINT else f"{self.measurement_id} at {host}"

    @property
    def peer(self) -> str:
        """Scheme, host and port of the endpoint, for messages."""
        return origin(self.endpoint)

    def batches(self, report: Report) -> tuple[Batch, ...]:
        """Cut a report as GA4 takes it.

        Raises:
            LimitError: GA4 would drop or cut something.
        """
        return batches(report, self.location)

    def request(self, body: bytes, collected_at: int) -> Request:
        """The POST of a body, stamped with the time of collection (µs since 1970)."""
        assert self.secret
        query = urlencode({"measurement_id": self.measurement_id, "api_secret": self.secret.reveal()})
        return Request(Secret(f"{self.endpoint}?{query}"), self.peer, HEADERS, _stamped(body, collected_at))

    async def deliver(self, batch: Queued, sender: Sender, now: int) -> Settled:
        """Send a batch; it was taken by the status alone, unless that brings a web page: GA4's answers have no body.

        Raises:
            SendError: it was not taken.
        """
        answer = await sender.send(self.request(batch.body, batch.collected_at), sender.total_seconds)
        check(answer, self.peer, now)
        return Settled(batch, Outcome.DELIVERED)

    async def processed(self, receipt: Receipt, sender: Sender, now: int) -> Processed | None:
        """Never known: the Measurement Protocol gives no receipts, and nobody asks."""

    async def validate(
        self, batch: Batch, sender: Sender, *, collected_at: int, seconds: float
    ) -> tuple[Objection, ...]:
        """What GA4's validator objects to.

        Raises:
            DestinationError: the endpoint has no validator that is known, or what answered is none.
            SendError: it gave no answer.
        """
        request = validation_request(self, batch.body, collected_at)
        return objections(await sender.send(request, seconds), batch, self.peer)


def _checked(measurement_id: str, endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise DestinationError(
            f"the endpoint of {measurement_id} is not an http or https address", f"GA4's own is {GLOBAL_ENDPOINT}"
        )
    plain = endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
    if "@" in parts.netloc or parts.query or parts.fragment or not plain:
        # The endpoint is shown and stored, so nothing secret may be part of it; it is not quoted here for that reason.
        raise DestinationError(
            f"the endpoint of {measurement_id} holds a user, a query, a fragment or a blank",
            "give scheme, host, port and path only",
        )


def _stamped(body: bytes, collected_at: int) -> bytes:
    """The clock may have been set right since the body was made, and GA4 takes timestamp_micros of the past only.

    The first match is the request's own: no JSON string before it can hold the pattern, its quotes would be escaped.
    """
    return _TIMESTAMP.sub(b'"timestamp_micros":%d' % collected_at, body, count=1)
