"""What can go wrong between the bridge and a node: one class per cause, each with the likely cause and the remedy.

ErlangError
├── EtfError                        bytes that do not make a term, or a value that no term can hold
├── BadNodeName                     a node name that cannot be used, or short and long names mixed
└── NodeError                       something with one node
    ├── ConnectError                no connection
    │   ├── UnresolvableHost        the host name has no address
    │   ├── NoEpmd                  nothing answers where EPMD should
    │   ├── UnknownNode             EPMD knows no such node
    │   ├── PortRefused             nothing listens on the node's port
    │   ├── PhaseTimeout            a phase of connecting took too long
    │   ├── BadCookie               the peer closed where its digest was due, or its own digest is wrong
    │   ├── SilentPort              the port closes before anything is said
    │   ├── NotAllowed              the peer refuses this name or lacks a flag
    │   ├── NameTaken               another program has taken our name over
    │   ├── WrongNode               another node listens there
    │   ├── TlsExpected             the peer wants TLS
    │   ├── TlsNotExpected          the peer does not speak TLS
    │   ├── CertificateError        a certificate was refused, by us or by the peer
    │   └── ProtocolViolation       the peer said what no node says
    └── CallError                   connected, but no result
        ├── NodeDown                the connection was lost with the call in flight
        ├── CallTimeout             no answer within the deadline; the call was cancelled
        └── RemoteError             the called function failed: exit, error or throw
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from bridge.erlang.terms import Term


class ErlangError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.NO_NODE


class EtfError(ErlangError):
    """Bytes that do not make a term within the limits, or a value that no term can hold."""


class BadNodeName(ErlangError):
    """A node name that cannot be used."""


HOST, EPMD, PORT, TLS, HANDSHAKE, COOKIE = "host name", "EPMD", "distribution port", "TLS", "handshake", "cookie"
PHASES: Final = (HOST, EPMD, PORT, TLS, HANDSHAKE, COOKIE)
"""The phases of connecting, in their order."""


class NodeError(ErlangError):
    """Something with one node, with one class for each cause.

    Args:
        node: its name.
        detail: the cause, as far as it is known; it may be what any program says at a node's port.
        phase: which phase failed, where it is another one than this class usually stands for.
    """

    problem: ClassVar[str] = "cannot be reached"
    advice: ClassVar[str] = ""
    at: ClassVar[str] = ""
    """The phase of connecting that fails with this error."""
    passing: ClassVar[bool] = False
    """Whether a node that starts or restarts may pass through it."""

    def __init__(self, node: str, detail: str = "", *, phase: str = "") -> None:
        self.node = node
        self.detail = detail.replace("\n", "\\n")
        what = f"node {node} {self.problem}"
        super().__init__(f"{what}: {self.detail}" if detail else what, self.advice, phase=phase or self.at)


class ConnectError(NodeError):
    """No connection to a node."""

    at = HANDSHAKE


class UnresolvableHost(ConnectError):
    """The host name has no address."""

    problem = "has a host that does not resolve"
    advice = "check the name after the @ and DNS or /etc/hosts on this machine"
    at = HOST
    passing = True


class NoEpmd(ConnectError):
    """Nothing answers where EPMD should."""

    problem = "cannot be looked up, no EPMD answers"
    advice = (
        "is the node running there, and is the EPMD port (ERL_EPMD_PORT, 4369) open? Without EPMD give name@host:port"
    )
    at = EPMD
    passing = True


class UnknownNode(ConnectError):
    """EPMD runs, but knows no such node."""

    problem = "is not registered with the EPMD of its host"
    advice = "check the name before the @ and that the node is running"
    at = EPMD
    passing = True


class PortRefused(ConnectError):
    """Nothing listens on the node's port."""

    problem = "refuses the connection to its distribution port"
    advice = "is the port right and open in the firewall (inet_dist_listen_min, inet_dist_listen_max)?"
    at = PORT
    passing = True


class PhaseTimeout(ConnectError):
    """A phase of connecting took longer than its deadline."""

    problem = "did not answer in time"
    advice = "a firewall that drops packets and a stopped node look like this"
    passing = True


class BadCookie(ConnectError):
    """The peer closed where its digest was due, which is all that a node says of a wrong cookie."""

    problem = "closed the connection during authentication"
    advice = "most likely the cookie is wrong: compare with erlang:get_cookie() in the node"
    at = COOKIE


class SilentPort(ConnectError):
    """The port took the connection and closed it at once."""

    problem = "closed the connection before it said anything"
    advice = "a proxy before a port that nothing listens on looks like this, and a node that is starting or stopping"
    passing = True


class NotAllowed(ConnectError):
    """The peer refuses the connection and says no more; the reason is in its own log."""

    problem = "does not allow the connection"
    advice = "its log has the reason: short against long names, net_kernel:allow/1, or a missing protocol flag"


class NameTaken(ConnectError):
    """Another program has taken our name over at this peer; we do not fight for it."""

    problem = "is connected to another program of our name"
    advice = "is a second bridge running? Give each its own --name or bridge.name"
    passing = True


class WrongNode(ConnectError):
    """The node that listens there has another name, and nodes are told apart by their names."""

    problem = "is not the node that answers there"
    advice = "call it by the name that it gives itself; short and long names do not mix"


class TlsExpected(ConnectError):
    """The peer speaks TLS on its distribution port, and we do not."""

    problem = "expects TLS"
    advice = "set [bridge.tls] (the node runs with -proto_dist inet_tls)"
    at = TLS


class TlsNotExpected(ConnectError):
    """We speak TLS, and the peer does not."""

    problem = "does not speak TLS on its distribution port"
    advice = "remove [bridge.tls], or start the node with -proto_dist inet_tls"
    at = TLS


class CertificateError(ConnectError):
    """A certificate was refused, by us or by the peer."""

    problem = "cannot be trusted over TLS"
    advice = "check cacertfile, certfile and keyfile of [bridge.tls], and the dates and names in the certificates"
    at = TLS


class ProtocolViolation(ConnectError):
    """The peer said what no node says."""

    problem = "does not speak the Erlang distribution protocol as expected"
    advice = "is this the distribution port of a node of OTP 25 or newer?"


class CallError(NodeError):
    """Connected, but no result of a call."""


class NodeDown(CallError):
    """The connection was lost with the call in flight; whether the call was made is not known."""

    problem = "went down during a call"
    passing = True


class CallTimeout(CallError):
    """No answer within the deadline; the call was cancelled in the node."""

    problem = "did not answer a call in time"
    advice = "is it overloaded?"
    passing = True

    def __init__(self, node: str, seconds: float) -> None:
        super().__init__(node, f"it had {seconds:g} s")


class RemoteError(CallError):
    """The called function failed in the node.

    `kind` is "error", "exit" or "throw"; `reason` the Erlang term and `stacktrace` that of an error, which may hold
    anything: never log them unseen.
    """

    problem = "answered a call with a failure"

    def __init__(self, node: str, kind: str, reason: Term, stacktrace: Term = None) -> None:
        self.kind = kind
        self.reason = reason
        self.stacktrace = stacktrace
        super().__init__(node, kind)


def retryable(error: BaseException) -> bool:
    """Whether the same attempt may succeed later without anybody changing anything.

    A node that starts or restarts passes through some of them, NXDOMAIN included (DNS races pod start in Kubernetes); a
    wrong cookie, a name or a certificate does not mend itself.
    """
    return isinstance(error, NodeError) and error.passing
