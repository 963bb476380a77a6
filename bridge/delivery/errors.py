"""What can go wrong between a report and GA4: the events themselves, the destination, the way there, its answer.

DeliveryError
├── LimitError                events that GA4 would drop or cut; `violations` names each
├── DestinationError          a destination, proxy or CA file that cannot be used as configured
└── SendError                 one request was not taken
    ├── Unresolvable          the host name has no address
    ├── ConnectionRefused     nothing listens there, or the network does not lead there
    ├── ConnectTimeout        no connection in time
    ├── CertificateRefused    TLS: expired, unknown CA, other host
    ├── TlsFailed             TLS: anything else
    ├── ProxyFailed           the proxy does not let us through
    ├── AnswerTimeout         connected, but no answer in time
    ├── ConnectionLost        the connection broke before the answer
    ├── NotHttp               what came back is not HTTP
    └── NotTaken              an answer that says no: now, or for good
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.delivery.limits import Violation

HOST, CONNECTION, PROXY, TLS, ANSWER = "endpoint host", "connection", "proxy", "endpoint TLS", "answer"
PHASES: Final = (HOST, CONNECTION, PROXY, TLS, ANSWER)
"""The phases of an exchange, in their order."""


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
        detail: the cause, as far as it is known.
        ambiguous: whether the whole request had left when it failed, so that the other side may have counted it.
    """

    exit_code = ExitCode.NOT_ALL_DELIVERED
    problem: ClassVar[str] = "cannot be reached"
    advice: ClassVar[str] = ""
    at: ClassVar[str] = ANSWER
    """The phase that fails with this error."""

    def __init__(self, peer: str, detail: str = "", *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        what = f"{peer} {self.problem}"
        super().__init__(f"{what}: {detail}" if detail else what, self.advice, phase=self.at)


class Unresolvable(SendError):
    """The host name has no address."""

    problem = "does not resolve"
    advice = "check the name, DNS, and whether this machine reaches the internet by a proxy only (bridge.proxy)"
    at = HOST


class ConnectionRefused(SendError):
    """Nothing listens there, or the network does not lead there."""

    problem = "cannot be connected to"
    advice = "check the port, the firewall, and whether a proxy is needed (bridge.proxy or HTTPS_PROXY)"
    at = CONNECTION


class ConnectTimeout(SendError):
    """No connection in time."""

    problem = "did not accept a connection in time"
    advice = "a firewall that drops packets looks like this: is a proxy needed (bridge.proxy or HTTPS_PROXY)?"
    at = CONNECTION


class CertificateRefused(SendError):
    """The other side's certificate cannot be trusted."""

    problem = "has a certificate that is not trusted"
    advice = "check the clock, and name the CA of a relay or inspecting proxy in bridge.ca_file or SSL_CERT_FILE"
    at = TLS


class TlsFailed(SendError):
    """TLS could not be set up, for another reason than the certificate."""

    problem = "does not speak TLS as expected"
    advice = "is it https, and the right port?"
    at = TLS


class ProxyFailed(SendError):
    """The proxy does not let us through."""

    problem = "cannot be reached through the proxy"
    advice = "check the proxy's address, user, password and rules"
    at = PROXY


class AnswerTimeout(SendError):
    """Connected, but no answer in time."""

    problem = "did not answer in time"
    advice = "is the endpoint right, and is a firewall or proxy in between?"


class ConnectionLost(SendError):
    """The connection broke before the answer."""

    problem = "closed the connection before it answered"
    advice = "is the endpoint right, and is a firewall or proxy in between?"


class NotHttp(SendError):
    """What came back is not HTTP."""

    problem = "gave an answer that is not HTTP"
    advice = "is the endpoint right?"


class NotTaken(SendError):
    """An answer that says no.

    Args:
        peer: whose answer.
        detail: the answer in words.
        final: whether the same request would get the same answer again.
        retry_after: seconds that the answer asks for; 0 where it asks for none.
        remedy: what to do about it.
    """

    problem = "answered"

    def __init__(
        self, peer: str, detail: str, *, final: bool = False, retry_after: float = 0.0, remedy: str = ""
    ) -> None:
        super().__init__(peer)
        self.what = f"{peer} answered {detail}"
        self.remedy = remedy
        self.final = final
        self.retry_after = retry_after
