"""A stream that is cut, reset, stalled, split or delayed at every byte of handshake and call.

Whatever happens, the call ends in its result or in the documented error within its deadline, and nothing runs on.
`make fuzz` takes every byte; else it is one of some.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bridge.erlang import CallTimeout, NodeDown
from bridge.erlang.errors import BadCookie, NotAllowed, PhaseTimeout, SilentPort
from tests.erlang.conftest import LONG, tasks_of_the_bridge
from tests.erlang.proxy import TO_NODE, TO_US, Proxy, cut, delay, reset, stall

if TYPE_CHECKING:
    from erlang_stubs.beam import Beam
    from tests.erlang.conftest import Net

BYTES_APART = int(os.environ.get("BYTES_APART", "23"))
ARGS = [1, (b"x" * 300,)]


class Path:
    """The way to a node through a proxy."""

    def __init__(self, net: Net, beam: Beam) -> None:
        self.net = net
        self.target = int(beam.eval('element(2, erl_epmd:port_please("shared", {127,0,0,1}))'))

    async def call(self, proxy: Proxy, timeout: float = LONG) -> object:  # noqa: ASYNC109 - the node's own word
        async with self.net.node() as node:
            return await node.call(f"shared@localhost:{proxy.port}", "erlang", "element", ARGS, timeout=timeout)

    async def outcome(self, direction: str, at: int, action: object, timeout: float = LONG) -> type:  # noqa: ASYNC109
        """The class of the error of one call, or that of its result."""
        async with Proxy(self.target, direction, at, action) as proxy, asyncio.timeout(LONG):
            try:
                result = await self.call(proxy, timeout)
            except Exception as error:
                return type(error)
            assert result == ARGS[1][0]
            return bytes

    async def outcomes(self, direction: str, action: object, timeout: float = LONG) -> dict[int, type]:  # noqa: ASYNC109
        """The outcome for each byte of the stream to which something happens, several at once."""
        async with Proxy(self.target) as proxy:
            assert await self.call(proxy) == ARGS[1][0]
            total = proxy.passed[direction]
        gate = asyncio.Semaphore(125 if action is stall else 25)

        async def one(at: int) -> type:
            async with gate:
                return await self.outcome(direction, at, action, timeout)

        places = range(0, total - 1, BYTES_APART)
        return dict(zip(places, await asyncio.gather(*map(one, places)), strict=True))


@pytest_asyncio.fixture
async def path(net: Net, beam: Beam) -> Path:
    return Path(net, beam)


@pytest.mark.parametrize("direction", [TO_US, TO_NODE])
async def test_a_stream_that_ends_stalls_or_is_split_at_any_byte(path, direction):
    cut_off, been_reset, stalled, split = await asyncio.gather(
        path.outcomes(direction, cut),
        path.outcomes(direction, reset),
        path.outcomes(direction, stall, timeout=2.5),
        path.outcomes(direction, delay),
    )
    for ended in (cut_off, been_reset):
        assert set(ended.values()) <= {NotAllowed, SilentPort, BadCookie, NodeDown, bytes}
        assert NodeDown in ended.values()
        # what comes after the result is not needed for it
        assert bytes not in [outcome for at, outcome in ended.items() if at < max(ended) // 2]
    assert {PhaseTimeout, CallTimeout} <= set(stalled.values()) <= {PhaseTimeout, CallTimeout, bytes}
    assert stalled[0] is PhaseTimeout
    assert set(split.values()) == {bytes}
    assert tasks_of_the_bridge() == []


async def test_a_stream_that_comes_byte_by_byte(path):
    async with Proxy(path.target, piece=1) as proxy:
        assert await path.call(proxy) == ARGS[1][0]


async def test_a_connection_that_is_cut_in_a_long_answer_fails_the_calls_and_the_next_one_connects_again(path, beam):
    async with Proxy(path.target, TO_US, 3_000_000, cut) as proxy, path.net.node() as node:
        peer = f"shared@localhost:{proxy.port}"
        calls = [node.call(peer, "binary", "copy", [bytes(1000), 1000], timeout=LONG) for _ in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = [result for result in results if isinstance(result, NodeDown)]
        assert failed
        assert all(isinstance(result, bytes | NodeDown) for result in results)
        proxy.action = None
        assert await node.call(peer, "erlang", "node", [], timeout=LONG) == beam.name
