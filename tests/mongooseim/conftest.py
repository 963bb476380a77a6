"""Asking stub clusters as the bridge does, without the command around it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bridge.erlang import Node, NodeName
from bridge.mongooseim.collect import collect
from bridge.secret import Secret
from erlang_stubs.cluster import COOKIE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.mongooseim.facts import ClusterFacts
    from erlang_stubs.cluster import StubCluster


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
