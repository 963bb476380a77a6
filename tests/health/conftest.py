"""One place per test, with two destinations where nobody listens unless the test says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.health.support import STANDARD, Place, facts_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from bridge.mongooseim.facts import ClusterFacts
    from erlang_stubs.cluster import StubCluster


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, [STANDARD, STANDARD.replace("9", "10", 1)])
    with made.state:
        yield made


@pytest.fixture
async def facts(default_cluster: StubCluster) -> ClusterFacts:
    return await facts_of(default_cluster)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client
