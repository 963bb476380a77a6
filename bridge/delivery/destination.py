"""Where reports go: the one interface between the queue and a kind of destination. Another kind is one more file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.delivery.sender import Sender
    from bridge.delivery.validation import Objection
    from bridge.report.model import Report
    from bridge.secret import Secret
    from bridge.state.queue import Batch, Queued, Settled
    from bridge.state.receipts import Processed, Receipt


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. The URL may hold an API secret and is therefore one; `peer` is what people may see of it."""

    url: Secret
    peer: str
    """Scheme, host and port, for messages."""
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    most: int = 64_000
    """Bytes of the answer that are read; what destinations answer is a fraction of that."""
    scope: str = ""
    """What the access token is to allow that goes with it; none goes where this is empty."""


def origin(url: str) -> str:
    """Scheme, host and port of a URL: what people may see of it, and what a connection is made to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, headers with lower-case names, and the start of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Destination(Protocol):
    """A place that takes reports. Values of this kind are cheap, immutable and hold no connection."""

    @property
    def id(self) -> str:
        """Names the destination in the state file, over restarts and changes of its secret; holds no secret itself."""

    @property
    def name(self) -> str:
        """What operators call it; holds no secret."""

    @property
    def measurement_id(self) -> str:
        """The web stream of the property that gets the reports."""

    @property
    def peer(self) -> str:
        """Scheme, host and port of its endpoint."""

    def batches(self, report: Report) -> tuple[Batch, ...]:
        """Cut a report into requests and encode them.

        Raises:
            LimitError: the destination would not take the report whole.
        """

    async def deliver(self, batch: Queued, sender: Sender, now: int) -> Settled:
        """Send a batch, with the time when it was collected as it is known now; what became of it, if it was taken.

        Args:
            batch: from the queue.
            sender: open.
            now: µs since 1970.

        Raises:
            SendError: nothing of it was taken.
        """

    async def processed(self, receipt: Receipt, sender: Sender, now: int) -> Processed | None:
        """What became of a batch that was taken; None where that is not known yet.

        Args:
            receipt: of the batch.
            sender: open.
            now: µs since 1970.

        Raises:
            SendError: the destination does not say.
        """

    async def validate(
        self, batch: Batch, sender: Sender, *, collected_at: int, seconds: float
    ) -> tuple[Objection, ...]:
        """What the destination would object to in a batch; nothing is recorded there.

        Args:
            batch: what would be sent.
            sender: open.
            collected_at: when its report was, µs since 1970.
            seconds: how long it may take.

        Raises:
            DestinationError: it has no validator.
            SendError: it gave no answer.
        """
