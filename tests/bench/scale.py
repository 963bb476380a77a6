"""Collection at scale: one call against the same expressions in the node, many host types, many nodes."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bridge.erlang import Node, NodeName
from bridge.mongooseim import probes
from bridge.mongooseim.answers import read_answer
from bridge.mongooseim.collect import collect
from bridge.report.events import events
from bridge.secret import Secret
from erlang_stubs.cluster import COOKIE, StubCluster
from tests.bench.paired import milliseconds, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST_TYPES = 10_000
WITH_BACKEND = (
    "mod_auth_token mod_http_upload mod_inbox mod_last mod_mam mod_muc_light mod_offline mod_privacy mod_private "
    "mod_pubsub mod_roster mod_vcard mod_event_pusher_push"
).split()
PLAIN = (
    "mod_adhoc mod_amp mod_bind2 mod_blocking mod_blocklist mod_cache_users mod_caps mod_carboncopy mod_csi mod_disco "
    "mod_domain_isolation mod_extdisco mod_external_filter mod_keystore mod_mam_pm mod_mam_rdbms_arch mod_ping "
    "mod_presence mod_register mod_sasl2 mod_sic mod_smart_markers mod_stanzaid mod_stream_management mod_time "
    "mod_version mod_shared_roster_ldap"
).split()
MODULES = len(WITH_BACKEND) + len(PLAIN)
SIZES = (2, 5, 10, 20, 50)
ROUNDS = 15

_IN_NODE = """
    {ok, Tokens, _} = erl_scan:string(binary_to_list(persistent_term:get(bench_text))),
    {ok, Parsed} = erl_parse:parse_exprs(Tokens),
    {Microseconds, _} = timer:tc(fun() -> erl_eval:exprs(Parsed, []) end),
    Microseconds
"""


@asynccontextmanager
async def joined(cluster: StubCluster) -> AsyncIterator[Node]:
    async with Node(None, Secret(COOKIE), epmd_port=cluster.epmd_port) as node:
        yield node


def in_node(cluster: StubCluster) -> float:
    """Seconds that the node needs for the probes' expressions, scanned and parsed beforehand."""
    return int(cluster.nodes[0].eval(_IN_NODE)) / 1e6


def give_text(cluster: StubCluster) -> None:
    codes = ",".join(str(code) for code in probes.text().encode())
    cluster.nodes[0].eval(f"persistent_term:put(bench_text, <<{codes}>>)")


async def one_call(cluster: StubCluster) -> None:
    """The call of a report against what the same expressions take in the node and an empty call."""
    peer = NodeName.parse(cluster.entry)
    loop = asyncio.get_running_loop()

    async with joined(cluster) as node:
        await node.call(peer, "erlang", "node", [], timeout=10)

        async def timed(module: str, function: str, arguments: list[object]) -> float:
            began = time.perf_counter()
            await node.call(peer, module, function, arguments, timeout=60)
            return time.perf_counter() - began

        taken: dict[str, list[float]] = {"collect": [], "empty": [], "in the node": []}
        for _ in range(ROUNDS):
            taken["collect"].append(await timed("erl_eval", "expr", probes.call_arguments(60)))
            taken["empty"].append(await timed("erlang", "node", []))
            taken["in the node"].append(await loop.run_in_executor(None, in_node, cluster))
    medians = {name: sorted(seconds)[len(seconds) // 2] for name, seconds in taken.items()}
    bound = 2 * medians["in the node"] + medians["empty"]
    rows = [(name, milliseconds(seconds)) for name, seconds in medians.items()]
    rows.append(("ratio to its bound (2 × in the node + empty)", f"{medians['collect'] / bound:.2f} (1 or less)"))
    show("One call, default stub", ("what", "median"), rows)


def host_types() -> None:
    """Many host types: a child process of its own, so that its memory is its own."""
    stock = [*(f"{name} => #{{backend => rdbms}}" for name in WITH_BACKEND), *(f"{name} => #{{}}" for name in PLAIN)]
    modules = f"#{{{', '.join(stock)}}}"
    with StubCluster("large", 1) as cluster:
        node = cluster.nodes[0]
        node.eval(f'stub:set(many_host_types, {{{HOST_TYPES}, <<"tenants">>}})')
        node.eval(f'stub:set(modules, [{{[<<"tenants">>], {modules}}}])')
        give_text(cluster)
        inside = [in_node(cluster) for _ in range(3)]
        child = subprocess.run(
            [sys.executable, "-m", "tests.bench.scale", str(cluster.epmd_port), cluster.entry],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
    seconds, megabytes, plain, aggregated = child.stdout.split()
    ratio = float(seconds) / sorted(inside)[1]
    show(
        f"{HOST_TYPES} host types with {MODULES} modules each",
        ("what", "figure", "wanted"),
        [
            ("in the node", milliseconds(sorted(inside)[1]), ""),
            ("collected and turned into events", milliseconds(float(seconds)), f"10 times at most: {ratio:.2f}"),
            ("peak memory of the process", f"{megabytes} MB", "under 300 MB"),
            ("events", plain, ""),
            ("events with aggregate_modules", aggregated, "under 100"),
        ],
    )


def child(epmd_port: int, entry: str) -> None:
    async def main() -> tuple[float, int, int]:
        async with Node(None, Secret(COOKIE), epmd_port=epmd_port) as node:
            await node.call(entry, "erlang", "node", [], timeout=10)
            began = time.perf_counter()
            facts = await collect(node, [NodeName.parse(entry)], timeout=120)
            plain = events(facts)
            seconds = time.perf_counter() - began
            return seconds, len(plain), len(events(facts, aggregate_modules=True))

    seconds, plain, aggregated = asyncio.run(main())
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, plain, aggregated)


class TimedNode(Node):
    """A node that knows how long its slowest call took, connecting included."""

    slowest = 0.0

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return await super().call(*args, **kwargs)
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - began)


def many_nodes() -> None:
    """Whole clusters against the slowest of their nodes, all warm, each time with fresh connections.

    All nodes run on this machine: beyond its cores they wait for each other, and no client can make that shorter. So
    the slowest node is measured twice, alone on an idle machine and while all are asked; the last column is what the
    nodes' own work alone comes to on these cores.
    """
    rows = []
    for size in SIZES:
        with StubCluster("6.8_none", size) as cluster:
            give_text(cluster)
            whole(cluster, size)
            alone = max(min(single(cluster, node.name) for _ in range(3)) for node in cluster.nodes)
            runs = sorted(whole(cluster, size) for _ in range(7))
            together, meanwhile = runs[len(runs) // 2]
            work = size * in_node(cluster) / (os.cpu_count() or 1)
            times = (alone, together, meanwhile, work)
            ratios = (f"{together / alone:.2f}", f"{together / meanwhile:.2f}")
            rows.append((size, *map(milliseconds, times), *ratios))
    headers = (
        *("nodes", "slowest alone", "all", "slowest meanwhile", "nodes' work / cores"),
        *("all / alone (3 or less)", "all / meanwhile"),
    )
    show("Whole clusters, entered at one node", headers, rows)


def whole(cluster: StubCluster, size: int) -> tuple[float, float]:
    """Seconds to ask a whole cluster, and of its slowest node in the course of it."""

    async def main() -> tuple[float, float]:
        async with TimedNode(None, Secret(COOKIE), epmd_port=cluster.epmd_port) as node:
            began = time.perf_counter()
            facts = await collect(node, [NodeName.parse(cluster.entry)], timeout=60)
            assert len(facts.nodes) == size
            return time.perf_counter() - began, node.slowest

    return asyncio.run(main())


def single(cluster: StubCluster, name: str) -> float:
    async def main() -> float:
        async with joined(cluster) as node:
            began = time.perf_counter()
            read_answer(await node.call(name, "erl_eval", "expr", probes.call_arguments(60), timeout=60), name)
            return time.perf_counter() - began

    return asyncio.run(main())


def run() -> None:
    """Print the three tables."""
    with StubCluster("default", 1) as cluster:
        give_text(cluster)
        asyncio.run(one_call(cluster))
    host_types()
    many_nodes()


if __name__ == "__main__":
    child(int(sys.argv[1]), sys.argv[2])
