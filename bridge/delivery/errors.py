"""What can go wrong between a report and GA4: the queue on disk, the events themselves, the way there.

DeliveryError
├── LimitError                events that GA4 would drop or cut; `violations` names each
├── DestinationError          a destination, proxy or CA file that cannot be used as configured
├── StoreError                the queue on disk
│   ├── NoStore               nothing was ever stored here
│   ├── StoreUnusable         the directory or file cannot be created, read or written
│   ├── StoreFull             no room on the disk; nothing was half-written
│   ├── StoreBusy             another process holds it for longer than the deadline
│   ├── StoreDamaged          the file is no queue of ours, or is corrupt
│   └── StoreTooNew           the file was written by a newer release
└── SendError                 one request got no answer; `ambiguous` when the other side may have counted it
    ├── Unresolvable          the host name has no address
    ├── Refused               nothing listens there, or the network does not lead there
    ├── ConnectTimeout        no connection in time
    ├── CertificateRefused    TLS: expired, unknown CA, other host
    ├── TlsFailed             TLS: anything else
    ├── ProxyFailed           the proxy does not let us through
    ├── AnswerTimeout         connected, but no answer in time
    ├── ConnectionLost        the connection broke before the answer
    └── BadAnswer             what came back is no HTTP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.delivery.limits import Violation


class DeliveryError(BridgeError):
    """The root of the tree above."""


class LimitError(DeliveryError):
    """Events that GA4 would drop or cut without a word: a bug, or a value of the configuration that is too long."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(f"GA4 would not take the report: {violation}" for violation in violations))


class DestinationError(DeliveryError):
    """A destination, proxy or CA file that cannot be used as it is configured."""


class StoreError(DeliveryError):
    """The queue on disk cannot be used; nothing was half-written."""

    exit_code = ExitCode.STATE


class NoStore(StoreError):
    """Nothing was ever stored in this state directory."""


class StoreUnusable(StoreError):
    """The state directory or the file in it cannot be created, read or written."""


class StoreFull(StoreError):
    """The disk has no room; what was there before is untouched."""


class StoreBusy(StoreError):
    """Another process holds the queue or the reporting lock for longer than the deadline."""


class StoreDamaged(StoreError):
    """The file is corrupt, or is no queue of the bridge."""


class StoreTooNew(StoreError):
    """The file was written by a newer release of the bridge."""


class SendError(DeliveryError):
    """One request got no answer.

    `ambiguous` says that the whole request had left when it failed, so the other side may have counted it. The
    message names the host and the cause; the URL with its secret is nowhere in it.
    """

    what: str = "cannot be reached"
    remedy: str = ""

    def __init__(self, peer: str, detail: str = "", *, ambiguous: bool = False) -> None:
        self.ambiguous = ambiguous
        text = f"{peer} {self.what}"
        super().__init__(f"{text}: {detail}" if detail else text, self.remedy)


class Unresolvable(SendError):
    """The host name has no address."""

    what = "does not resolve"
    remedy = "check the name, DNS, and whether this machine reaches the internet by a proxy only (bridge.proxy)"


class Refused(SendError):
    """Nothing listens there, or the network does not lead there."""

    what = "cannot be connected to"
    remedy = "check the port, the firewall, and whether a proxy is needed (bridge.proxy or HTTPS_PROXY)"


class ConnectTimeout(SendError):
    """No connection in time."""

    what = "did not accept a connection in time"
    remedy = "a firewall that drops packets looks like this: is a proxy needed (bridge.proxy or HTTPS_PROXY)?"


class CertificateRefused(SendError):
    """The other side's certificate cannot be trusted."""

    what = "has a certificate that is not trusted"
    remedy = "check the clock, and name the CA of a relay or inspecting proxy in bridge.ca_file or SSL_CERT_FILE"


class TlsFailed(SendError):
    """TLS could not be set up, for another reason than the certificate."""

    what = "does not speak TLS as expected"
    remedy = "is it https, and the right port?"


class ProxyFailed(SendError):
    """The proxy does not let us through."""

    what = "cannot be reached through the proxy"
    remedy = "check the proxy's address, user, password and rules"


class AnswerTimeout(SendError):
    """Connected, but no answer in time."""

    what = "did not answer in time"


class ConnectionLost(SendError):
    """The connection broke before the answer."""

    what = "closed the connection before it answered"


class BadAnswer(SendError):
    """What came back is no HTTP."""

    what = "gave an answer that is no HTTP"
    remedy = "is the endpoint right?"
