"""A stream that is cut, reset, stalled, split or delayed at every byte of handshake and call.

Whatever happens, the call ends in its result or in the documented error within its deadline, and nothing runs on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bridge.erlang import Atom, CallTimeout, NodeDown
from bridge.erlang.errors import BadCookie, NotAllowed, PhaseTimeout, SilentPort
from tests.erlang.conftest import LONG, tasks_of_the_bridge
from tests.erlang.proxy import TO_NODE, TO_US, Proxy, cut, delay, reset, stall

if TYPE_CHECKING:
    from erlang_stubs.beam import Beam
    from tests.erlang.conftest import Net

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

    async def outcomes(
        self,
        total: int,
        direction: str,
        action: object,
        timeout: float = LONG,  # noqa: ASYNC109
        at_once: int = 25,
    ) -> list[type]:
        """The outcome for each byte of the stream, several at once."""
        gate = asyncio.Semaphore(at_once)

        async def one(at: int) -> type:
            async with gate:
                return await self.outcome(direction, at, action, timeout)

        found = await asyncio.gather(*map(one, range(total)))
        assert tasks_of_the_bridge() == []
        return found


@pytest_asyncio.fixture
async def path(net: Net, beam: Beam) -> Path:
    return Path(net, beam)


async def lengths(path: Path) -> dict[str, int]:
    """How many bytes a whole handshake and call take in each direction."""
    async with Proxy(path.target) as proxy:
        assert await path.call(proxy) == ARGS[1][0]
        return proxy.passed


DOCUMENTED = {NotAllowed, SilentPort, BadCookie, NodeDown}


@pytest.mark.parametrize("direction", [TO_US, TO_NODE])
@pytest.mark.parametrize("action", [cut, reset])
async def test_a_stream_that_ends_at_any_byte(path, direction, action):
    total = (await lengths(path))[direction]
    found = await path.outcomes(total - 1, direction, action)
    assert set(found) <= DOCUMENTED | {bytes}
    assert NodeDown in found
    assert bytes not in found[: total // 2]  # what comes after the result is not needed for it


@pytest.mark.parametrize("direction", [TO_US, TO_NODE])
async def test_a_stream_that_stalls_at_any_byte(path, direction):
    total = (await lengths(path))[direction]
    found = await path.outcomes(total - 1, direction, stall, timeout=2.5, at_once=125)
    assert set(found) <= {PhaseTimeout, CallTimeout, bytes}
    assert {PhaseTimeout, CallTimeout} <= set(found)
    assert found[0] is PhaseTimeout


@pytest.mark.parametrize("direction", [TO_US, TO_NODE])
async def test_a_stream_that_is_split_and_delayed_at_any_byte(path, direction):
    total = (await lengths(path))[direction]
    assert set(await path.outcomes(total, direction, delay)) == {bytes}


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


async def test_a_call_that_is_stalled_leaves_the_connection_to_others(path, beam):
    """Only the answer of one call is late; the others pass it."""
    async with Proxy(path.target) as proxy, path.net.node() as node:
        peer = f"shared@localhost:{proxy.port}"
        slow = asyncio.ensure_future(node.call(peer, "timer", "sleep", [Atom("infinity")], timeout=0.5))
        for _ in range(20):
            assert await node.call(peer, "erlang", "node", [], timeout=LONG) == beam.name
        with pytest.raises(CallTimeout):
            await slow
        assert node.connected() == [beam.name]
