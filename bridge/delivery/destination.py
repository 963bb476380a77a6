"""Where reports go: the one interface between the queue and a kind of destination. Another kind is one more file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.report.model import Report
    from bridge.secret import Secret
    from bridge.state.queue import Batch


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
    def peer(self) -> str:
        """Scheme, host and port of its endpoint."""

    def batches(self, report: Report) -> tuple[Batch, ...]:
        """Cut a report into requests and encode them.

        Raises:
            LimitError: the destination would not take the report whole.
        """

    def request(self, body: bytes, collected_at: int) -> Request:
        """The request for a batch's body, with the time when it was collected as it is known now (µs since 1970)."""

    def check(self, answer: Answer, now: int) -> None:
        """What an answer means for the batch.

        Raises:
            SendError: it was not taken.
        """
