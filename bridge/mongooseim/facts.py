"""What a cluster answered, as frozen values that hold known words and numbers only.

Everything in `ClusterFacts` but `nodes[].name`, `nodes[].otp_release`, `unreachable` and the keys of `stanzas` may
leave the operator's network; those are for the operator's own eyes (summary, log, state directory).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

STANZA_TYPES = (
    "xmppMessageSent",
    "xmppMessageReceived",
    "xmppIqSent",
    "xmppIqReceived",
    "xmppPresenceSent",
    "xmppPresenceReceived",
)


class Module(Struct, frozen=True, order=True):
    """An open-source module in use, with the options that MongooseIM reports of it."""

    name: str
    backend: str | None = None
    online_backend: str | None = None
    api_version: str | None = None


class ModuleSet(Struct, frozen=True):
    """The modules loaded for `host_types` host types that have exactly this set in common."""

    modules: tuple[Module, ...]
    host_types: int


class TlsOption(Struct, frozen=True, order=True):
    """How client listeners do TLS: the mode, and the TLS module in releases that name it (before 6.4)."""

    mode: str
    module: str | None = None


class Incarnation(Struct, frozen=True, order=True):
    """One life of the application on a node. Stanza counters start at 0 in each."""

    node: str
    number: int
    """Made from the node's creation and the application's supervisor there; it means nothing else."""


StanzaTotals = Mapping[Incarnation, Mapping[str, int]]
"""Stanza counters per incarnation of a node and stanza type, as read; never summed before increments are taken."""


class NodeFacts(Struct, frozen=True):
    """What is reported once per node, and the name by which the operator knows it. None: could not be asked."""

    name: str
    version: str | None
    otp_release: str | None
    uptime_seconds: int | None
    components: int | None
    node_number: int
    config_type: str | None


class Unreachable(Struct, frozen=True):
    """A member that gave no answer, and the reason in words for the operator."""

    node: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


class ClusterFacts(Struct, frozen=True):
    """One cluster's facts, merged from its nodes (design: once, per node, summed). None: no node could say."""

    nodes: tuple[NodeFacts, ...]
    unreachable: tuple[Unreachable, ...]
    cluster_id: str | None
    """The persistent cluster id, or None where it is ephemeral or missing."""
    host_count: int | None
    domain_count: int | None
    modules: tuple[ModuleSet, ...]
    custom_module_count: int | None
    http_api: tuple[str, ...]
    transports: tuple[str, ...]
    tls_options: tuple[TlsOption, ...]
    outgoing_pools: tuple[str, ...]
    """One for each pool."""
    stanzas: StanzaTotals
    own_reporter: bool
    """Whether the cluster's own service_mongoose_system_metrics sends to a property of the operator's."""
    notes: tuple[str, ...] = ()
    """Facts that failed, as "fact: failure class", walled: known words only."""
    other_bridges: int = 0
    """How many other bridges are connected to the cluster."""
