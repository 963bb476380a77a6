"""What can go wrong between the bridge and a node: one class per cause, each with the likely cause and the remedy.

ErlangError
├── EtfError                    bytes that are no term, or a value that no term can hold
├── BadNodeName                 a node name that cannot be used, or short and long names mixed
├── ConnectError                no connection
│   ├── UnresolvableHost        the host name has no address
│   ├── NoEpmd                  nothing answers where EPMD should
│   ├── UnknownNode             EPMD knows no such node
│   ├── Refused                 nothing listens on the node's port
│   ├── PhaseTimeout            a phase of connecting took too long
│   ├── BadCookie               the peer closed where its digest was due, or its own digest is wrong
│   ├── NotAllowed              the peer refuses this name or lacks a flag
│   ├── NameConflict            our node name is in use
│   │   └── Simultaneous        both sides connect at the same time, and the peer's attempt goes on
│   ├── NotRegistered           the EPMD of this host does not take our name
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

from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError, ExitCode

if TYPE_CHECKING:
    from bridge.erlang.terms import Term


class ErlangError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.NO_NODE


class EtfError(ErlangError):
    """Bytes that are no term within the limits, or a value that no term can hold."""


class BadNodeName(ErlangError):
    """A node name that cannot be used."""


class ConnectError(ErlangError):
    """No connection to a node; `node` is its name."""

    what: str = "cannot be reached"
    remedy: str = ""

    def __init__(self, node: str, detail: str = "") -> None:
        self.node = node
        self.detail = detail
        text = f"node {node} {self.what}"
        super().__init__(f"{text}: {detail}" if detail else text, self.remedy)


class UnresolvableHost(ConnectError):
    """The host name has no address."""

    what = "has a host that does not resolve"
    remedy = "check the name after the @ and DNS or /etc/hosts on this machine"


class NoEpmd(ConnectError):
    """Nothing answers where EPMD should."""

    what = "cannot be looked up, no EPMD answers"
    remedy = (
        "is the node running there, and is the EPMD port (ERL_EPMD_PORT, 4369) open? Without EPMD give name@host:port"
    )


class UnknownNode(ConnectError):
    """EPMD runs, but knows no such node."""

    what = "is not registered with the EPMD of its host"
    remedy = "check the name before the @ (epmd -names lists them) and that the node is running"


class Refused(ConnectError):
    """Nothing listens on the node's port."""

    what = "refuses the connection to its distribution port"
    remedy = "is the port right and open in the firewall (inet_dist_listen_min, inet_dist_listen_max)?"


class PhaseTimeout(ConnectError):
    """A phase of connecting took longer than its deadline; `detail` begins with it, as `Dial.phase` names it."""

    what = "did not answer in time"
    remedy = "a firewall that drops packets and a stopped node look like this"


class BadCookie(ConnectError):
    """The peer closed where its digest was due, which is all that a node says of a wrong cookie."""

    what = "closed the connection during authentication"
    remedy = "most likely the cookie is wrong: compare with erlang:get_cookie() in the node"


class NotAllowed(ConnectError):
    """The peer refuses the connection and says no more; the reason is in its own log."""

    what = "does not allow the connection"
    remedy = "its log has the reason: short against long names, net_kernel:allow/1, or a missing protocol flag"


class NameConflict(ConnectError):
    """Another program has our node name; `node` is that name."""

    what = "is a name that is in use"
    remedy = "is a second bridge running on this host? Give each its own --name"


class Simultaneous(NameConflict):
    """The peer refuses our attempt because an attempt of its own, to a node of our name, goes on."""

    what = "refused our name for now"
    remedy = "is a second bridge running? Give each its own --name"


class NotRegistered(ConnectError):
    """The EPMD of this host does not answer; `node` is our name."""

    what = "cannot be registered with the EPMD of this host"
    remedy = "start it (epmd -daemon), and check ERL_EPMD_PORT"


class WrongNode(ConnectError):
    """The node that listens there has another name, and nodes are told apart by their names."""

    what = "is not the node that answers there"
    remedy = "call it by the name that it gives itself, as node() in it prints it"


class TlsExpected(ConnectError):
    """The peer speaks TLS on its distribution port, and we do not."""

    what = "expects TLS"
    remedy = "set [bridge.tls] (the node runs with -proto_dist inet_tls)"


class TlsNotExpected(ConnectError):
    """We speak TLS, and the peer does not."""

    what = "does not speak TLS on its distribution port"
    remedy = "remove [bridge.tls], or start the node with -proto_dist inet_tls"


class CertificateError(ConnectError):
    """A certificate was refused, by us or by the peer."""

    what = "cannot be trusted over TLS"
    remedy = "check cacertfile, certfile and keyfile of [bridge.tls], and the dates and names in the certificates"


class ProtocolViolation(ConnectError):
    """The peer said what no node says."""

    what = "does not speak the Erlang distribution protocol as expected"
    remedy = "is this the distribution port of a node of OTP 25 or newer?"


class CallError(ErlangError):
    """Connected, but no result of a call; `node` is the callee's."""

    def __init__(self, node: str, message: str) -> None:
        self.node = node
        super().__init__(f"node {node} {message}")


class NodeDown(CallError):
    """The connection was lost with the call in flight; whether the call was made is not known."""

    def __init__(self, node: str, detail: str) -> None:
        super().__init__(node, f"went down during a call: {detail}")


class CallTimeout(CallError):
    """No answer within the deadline; the call was cancelled in the node."""

    def __init__(self, node: str, seconds: float) -> None:
        super().__init__(node, f"did not answer a call within {seconds:g} s; is it overloaded?")


class RemoteError(CallError):
    """The called function failed in the node.

    `kind` is "error", "exit" or "throw"; `reason` the Erlang term and `stacktrace` that of an error, which may hold
    anything: never log them unseen.
    """

    def __init__(self, node: str, kind: str, reason: Term, stacktrace: Term = None) -> None:
        self.kind = kind
        self.reason = reason
        self.stacktrace = stacktrace
        super().__init__(node, f"answered a call with {kind}")


_PASSING: Final = (
    UnresolvableHost,
    NoEpmd,
    UnknownNode,
    Refused,
    PhaseTimeout,
    NameConflict,
    NotRegistered,
    NodeDown,
    CallTimeout,
)


def retryable(error: BaseException) -> bool:
    """Whether the same attempt may succeed later without anybody changing anything.

    A node that starts or restarts passes through every one of these, NXDOMAIN included (DNS races pod start in
    Kubernetes); a wrong cookie, a name or a certificate does not mend itself.
    """
    return isinstance(error, _PASSING)
