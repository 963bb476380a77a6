"""What it takes to reach the cluster, from the settings: where to enter, our name, the cookie, TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.cookie import Cookie, find_cookie
from bridge.config.errors import ConfigError, Problem, Problems
from bridge.config.files import fingerprint
from bridge.config.vm_args import VmArgs, host_name, read_vm_args
from bridge.erlang.errors import BadNodeName
from bridge.erlang.names import NodeName, check_style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.load import Loaded
    from bridge.erlang.tls import TlsOptions

SERVICE_NAME: Final = "mongooseim_bridge"
"""The name of the service's node before the @; a fixed one, since every new name is an atom in each node for ever."""


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that a hidden node needs to join the cluster."""

    entries: tuple[NodeName, ...]
    own_name: NodeName
    """The name for the service. One-shot commands are lent one by each peer unless `named`."""
    named: bool
    """Whether the name was given on the command line, for this run."""
    cookie: Cookie
    tls: TlsOptions | None
    tls_files: int
    """Differs when the TLS files do; renewed ones keep their names."""
    epmd_port: int | None


def access(loaded: Loaded, environ: Mapping[str, str]) -> Access:
    """Find and check all that is needed to reach the cluster.

    Raises:
        ConfigError: with every problem: names, name styles, cookie, TLS files.
    """
    bridge = loaded.settings.bridge
    problems = Problems()
    vm_args = problems.attempt(read_vm_args, Path(bridge.vm_args)) if bridge.vm_args else None
    cookie = problems.attempt(find_cookie, bridge, vm_args, environ)
    entries = problems.attempt(_entries, loaded, vm_args)
    own_name = problems.attempt(_own_name, loaded, entries) if entries else None
    tls = problems.attempt(_tls, loaded, vm_args)
    files = (tls.cacertfile, tls.certfile, tls.keyfile) if tls else ()
    tls_files = problems.attempt(fingerprint, "bridge.tls", *files)
    if not (cookie and entries and own_name and tls_files is not None):
        raise ConfigError(problems)
    problems.check()
    named = loaded.where("bridge.name") == "option"
    return Access(entries, own_name, named, cookie, tls, tls_files, bridge.epmd_port)


def _entries(loaded: Loaded, vm_args: VmArgs | None) -> tuple[NodeName, ...]:
    bridge = loaded.settings.bridge
    where = loaded.where("bridge.nodes")
    names = bridge.nodes
    if vm_args and vm_args.node and not loaded.where("bridge.nodes"):
        where, names = str(bridge.vm_args), (vm_args.node,)
    problems = Problems()
    entries: list[NodeName] = []
    for name in names:
        try:
            entry = NodeName.parse(name)
            if entries:
                check_style(entry, entries[0])
            entries.append(entry)
        except BadNodeName as error:
            problems.append(Problem(where, "bridge.nodes", error.what, error.remedy))
    problems.check()
    return tuple(entries)


def _own_name(loaded: Loaded, entries: tuple[NodeName, ...]) -> NodeName:
    given = loaded.settings.bridge.name
    try:
        own = NodeName.parse(given) if given else default_name(entries[0])
        for entry in entries:
            check_style(own, entry)
            if str(own) == str(entry):
                raise BadNodeName(f"{own} is a node of the cluster", "the bridge needs a name of its own")
    except BadNodeName as error:
        raise ConfigError([Problem(loaded.where("bridge.name"), "bridge.name", error.what, error.remedy)]) from error
    return own


def default_name(entry: NodeName) -> NodeName:
    """The service's own name, short or long as the cluster's are; beside a node on "localhost" it is there too."""
    if entry.host == "localhost":
        return NodeName(SERVICE_NAME, "localhost")
    host = host_name(long=entry.long)
    if entry.long and "." not in host:
        host = f"{host}.local"
    return NodeName(SERVICE_NAME, host or "localhost")


def _tls(loaded: Loaded, vm_args: VmArgs | None) -> TlsOptions | None:
    if not loaded.where("bridge.tls") and not (vm_args and vm_args.tls):
        return None
    from bridge.config.tls import dist_tls  # noqa: PLC0415 - ssl is slow to import, and most clusters have none

    return dist_tls(loaded, vm_args.words if vm_args else ())
