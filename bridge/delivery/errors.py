"""What can go wrong between a report and its destination: the events themselves, the way there, the answer.

DeliveryError
├── LimitError                events that GA4 would drop or cut; `violations` names each
├── DestinationError          a destination, proxy or CA file that cannot be used as configured
└── SendError                 one request was not taken; `cause` is one of the table below, or an answer that says no
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.delivery.limits import Violation

HOST, CONNECTION, PROXY, TLS, ANSWER = "endpoint host", "connection", "proxy", "endpoint TLS", "answer"
PHASES: Final = (HOST, CONNECTION, PROXY, TLS, ANSWER)
"""The phases of an exchange, in their order."""


class Cause(NamedTuple):
    """Why a request was not taken."""

    problem: str
    """What is said of the other side."""
    remedy: str
    """What to do about it."""
    phase: str = ANSWER
    """The phase that fails with it."""


UNRESOLVABLE: Final = Cause(
    "does not resolve",
    "check the name, DNS, and whether this machine reaches the internet by a proxy only (bridge.proxy)",
    HOST,
)
REFUSED: Final = Cause(
    "cannot be connected to",
    "check the port, the firewall, and whether a proxy is needed (bridge.proxy or HTTPS_PROXY)",
    CONNECTION,
)
NO_CONNECTION_IN_TIME: Final = Cause(
    "did not accept a connection in time",
    "a firewall that drops packets looks like this: is a proxy needed (bridge.proxy or HTTPS_PROXY)?",
    CONNECTION,
)
PROXY_REFUSES: Final = Cause(
    "cannot be reached through the proxy", "check the proxy's address, user, password and rules", PROXY
)
NOT_TRUSTED: Final = Cause(
    "has a certificate that is not trusted",
    "check the clock, and name the CA of a relay or inspecting proxy in bridge.ca_file or SSL_CERT_FILE",
    TLS,
)
NO_TLS: Final = Cause("does not speak TLS as expected", "is it https, and the right port?", TLS)
NO_ANSWER_IN_TIME: Final = Cause(
    "did not answer in time", "is the endpoint right, and is a firewall or proxy in between?"
)
LOST: Final = Cause(
    "closed the connection before it answered", "is the endpoint right, and is a firewall or proxy in between?"
)
NOT_HTTP: Final = Cause("gave an answer that is not HTTP", "is the endpoint right?")


class DeliveryError(BridgeError):
    """The root of the tree above."""


class LimitError(DeliveryError):
    """Events that GA4 would drop or cut without a word: a bug, or a value of the configuration that is too long."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(f"GA4 would not take the report: {violation}" for violation in violations))


class DestinationError(DeliveryError):
    """A destination, proxy or CA file that cannot be used as it is configured."""


class SendError(DeliveryError):
    """One request was not taken; the URL with its secret is nowhere in the message.

    Args:
        peer: whom it was for, as people may see it.
        cause: why, in general.
        detail: why this time, as far as it is known.
        ambiguous: whether the whole request had left when it failed, so that the other side may have counted it.
        final: whether the same request would get the same answer again.
        retry_after: seconds that the other side asks to be left alone for; 0 where it asks for none.
    """

    exit_code = ExitCode.NOT_ALL_DELIVERED

    def __init__(
        self,
        peer: str,
        cause: Cause,
        detail: str = "",
        *,
        ambiguous: bool = False,
        final: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        self.cause = cause
        self.ambiguous = ambiguous
        self.final = final
        self.retry_after = retry_after
        what = f"{peer} {cause.problem}"
        super().__init__(f"{what}: {detail}" if detail else what, cause.remedy, phase=cause.phase)
