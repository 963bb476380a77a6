"""Asking stub clusters as the bridge does, without the command around it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Node, NodeName
from bridge.mongooseim.collect import collect
from bridge.secret import Secret
from erlang_stubs.cluster import COOKIE, StubCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.mongooseim.facts import ClusterFacts
    from erlang_stubs.beam import Beam


@pytest.fixture(scope="module")
def node_of() -> Iterator[Callable[[str], StubCluster]]:
    """`node_of("6.5")` is one node of a scenario. The tests of a file share it: they leave it as it was."""
    with contextlib.ExitStack() as stack:
        yield cache(lambda scenario: stack.enter_context(StubCluster(scenario, 1)))


@contextlib.contextmanager
def changed(node: Beam, key: str, value: str | None) -> Iterator[None]:
    """Another value of a key or an option, or None for no such option, for as long as the block runs."""
    part = "config" if key.startswith("{config") else key
    node.eval(f"persistent_term:put(before, stub:get({part}))")
    node.eval(f"stub:set({key}, {value})" if value else f"stub:unset({key})")
    try:
        yield
    finally:
        node.eval(f"stub:set({part}, persistent_term:get(before))")


@pytest.fixture
def ask() -> Callable[..., ClusterFacts]:
    """`ask(cluster)` gives its facts; `entries` other than the first node, and seconds per node, can be named."""

    def ask(cluster: StubCluster, *entries: str, timeout: float = 10) -> ClusterFacts:
        async def asked() -> ClusterFacts:
            async with Node(None, Secret(COOKIE), epmd_port=cluster.epmd_port) as node:
                return await collect(
                    node, [NodeName.parse(name) for name in entries or [cluster.entry]], timeout=timeout
                )

        return asyncio.run(asked())

    return ask
