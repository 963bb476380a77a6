"""Clusters of stub nodes for tests: one that all share and only read, and as many others as a test starts itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from erlang_stubs.cluster import StubCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def default_cluster() -> Iterator[StubCluster]:
    """The default scenario on two nodes. Shared: read, and change nothing in it."""
    with StubCluster() as cluster:
        yield cluster


@pytest.fixture
def start_cluster() -> Iterator[Callable[..., StubCluster]]:
    """`start_cluster("6.5", size=1)` starts a cluster of the test's own; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(*args: Any, **kwargs: Any) -> StubCluster:
            return stack.enter_context(StubCluster(*args, **kwargs))

        yield start
