"""Calls to a real node: results, failures, time-outs, many at once, and what is left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.erlang import Atom, CallTimeout, EtfError, Pid, RemoteError
from bridge.erlang.dial import PHASE_TIMEOUT
from erlang_stubs.beam import eventually
from tests.erlang.conftest import COOKIE, LONG, SLEEPERS, sleepers


async def test_the_first_call_connects_hidden_and_gives_the_result(net, beam):
    async with net.node() as node:
        assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
        hidden = beam.eval("nodes(hidden)")
        assert "@" in hidden
        assert beam.eval("nodes()") == "[]"


@pytest.mark.parametrize(
    ("module", "function", "args", "kind", "reason"),
    [
        ("erlang", "error", [Atom("oops")], "error", Atom("oops")),
        ("erlang", "exit", [(Atom("shutdown"), 1)], "exit", (Atom("shutdown"), 1)),
        ("erlang", "throw", [[1, b"two"]], "throw", [1, b"two"]),
        ("erlang", "no_such_function", [1], "error", Atom("undef")),
        ("no_such_module", "f", [], "error", Atom("undef")),
        ("erlang", "binary_to_integer", [b"x"], "error", Atom("badarg")),
        ("erlang", "hd", [], "error", Atom("undef")),
    ],
)
async def test_a_function_that_fails_is_an_error_with_class_and_reason(net, beam, module, function, args, kind, reason):
    async with net.node() as node:
        with pytest.raises(RemoteError) as failure:
            await node.call(beam.name, module, function, args, timeout=LONG)
        assert (failure.value.kind, failure.value.reason) == (kind, reason)
        assert failure.value.node == beam.name
        assert "oops" not in str(failure.value)
        assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


async def test_an_error_has_the_stack_trace_of_the_node(net, beam):
    async with net.node() as node:
        with pytest.raises(RemoteError) as failure:
            await node.call(beam.name, "lists", "nth", [5, [1]], timeout=LONG)
        assert failure.value.reason == "function_clause"
        assert failure.value.stacktrace[0][0] == "lists"


async def test_a_process_that_is_killed_during_its_call_is_an_exit(net, beam):
    async with net.node() as node:
        call = asyncio.ensure_future(node.call(beam.name, "timer", "sleep", [Atom("infinity")], timeout=LONG))
        await asyncio.to_thread(eventually, "the process runs", lambda: sleepers(beam) == "1")
        beam.eval(f"[exit(P, kill) || P <- {SLEEPERS}]")
        with pytest.raises(RemoteError) as failure:
            await call
        assert (failure.value.kind, failure.value.reason) == ("exit", "killed")


async def test_a_value_that_is_no_term_fails_the_call_and_nothing_else(net, beam):
    async with net.node() as node:
        with pytest.raises(EtfError):
            await node.call(beam.name, "erlang", "hd", [[None]], timeout=LONG)
        assert await node.call(beam.name, "erlang", "hd", [[7]], timeout=LONG) == 7


async def test_a_call_that_takes_too_long_is_given_up_here_and_killed_there(net, beam):
    async with net.node() as node:
        await node.connect(beam.name, timeout=LONG)
        with pytest.raises(CallTimeout, match=r"0\.3 s"):
            await node.call(beam.name, "timer", "sleep", [Atom("infinity")], timeout=0.3)
        await asyncio.to_thread(eventually, "the process is gone", lambda: sleepers(beam) == "0")
        assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


async def test_calls_that_are_given_up_before_their_process_is_known_are_killed_all_the_same(net, beam):
    async with net.node() as node:
        await node.call(beam.name, "erlang", "node", [], timeout=LONG)
        calls = [
            asyncio.ensure_future(node.call(beam.name, "timer", "sleep", [Atom("infinity")], timeout=LONG))
            for _ in range(50)
        ]
        await asyncio.sleep(0)  # they are sent, and no answer has been read
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.to_thread(eventually, "the processes are gone", lambda: sleepers(beam) == "0")


async def test_many_calls_in_flight_get_each_its_own_answer(net, beam):
    async with net.node() as node:
        tuples = [(n, b"x" * (n % 300)) for n in range(2000)]
        calls = [node.call(beam.name, "erlang", "element", [1, each], timeout=LONG) for each in tuples]
        assert await asyncio.gather(*calls) == list(range(2000))


async def test_answers_come_in_the_order_in_which_they_are_ready(net, beam):
    async with net.node() as node:
        await node.connect(beam.name, timeout=LONG)
        order = []

        async def nap(ms: int) -> None:
            await node.call(beam.name, "timer", "sleep", [ms], timeout=LONG)
            order.append(ms)

        await asyncio.gather(nap(400), nap(1), nap(200))
        assert order == [1, 200, 400]


async def test_code_that_prints_does_not_wait_for_us(net, beam):
    async with net.node() as node:
        assert await node.call(beam.name, "io", "format", [b"printed by a call~n", []], timeout=LONG) == "ok"
        leader = await node.call(beam.name, "erlang", "group_leader", [], timeout=LONG)
        assert isinstance(leader, Pid)
        assert leader.node == beam.name


async def test_code_that_prints_fails_at_once_where_no_group_leader_is_to_be_had(net, beam):
    beam.eval("persistent_term:put(kept, whereis(user)), unregister(user)")
    try:
        async with net.node() as node:
            with pytest.raises(RemoteError):
                await node.call(beam.name, "io", "format", [b"~s~n", [b"x"]], timeout=LONG)
    finally:
        beam.eval("register(user, persistent_term:get(kept))")


async def test_twenty_megabytes_come_and_go(net, beam):
    blob = bytes(range(256)) * 80_000
    async with net.node() as node:
        assert await node.call(beam.name, "erlang", "byte_size", [blob], timeout=LONG) == len(blob)
        back = await node.call(beam.name, "binary", "copy", [b"0123456789abcdef", 1_300_000], timeout=LONG)
        assert back == b"0123456789abcdef" * 1_300_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_twenty_megabytes_take_less_than_a_hundred_of_memory(net25, beam25):
    program = f"""
import asyncio, sys
from bridge.erlang import Node
from bridge.secret import Secret
async def main():
    async with Node(None, Secret(sys.stdin.read()), epmd_port={net25.epmd.port}) as node:
        assert len(await node.call({beam25.name!r}, "binary", "copy", [b"x", 20_000_000], timeout=60)) == 20_000_000
asyncio.run(main())
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""
    done = subprocess.run([sys.executable, "-c", program], input=COOKIE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) < 100_000  # kB


COUNTS = (
    "{erlang:system_info(atom_count), erlang:system_info(process_count), erlang:system_info(port_count), "
    "length(element(2, process_info(whereis(net_kernel), monitors))), length(nodes(connected)), "
    "lists:sum([length(element(2, process_info(P, monitored_by))) || P <- processes(), is_process_alive(P)])}"
)


A_FEW = 5
"""What a node may have more of for reasons of its own, or because it has not finished with the last runs."""


def counts(beam) -> list[int]:
    beam.eval(COUNTS)  # the first time it makes atoms
    return [int(count) for count in beam.eval(COUNTS).strip("{}").split(",")]


def grown(beam, before: list[int]) -> int:
    """The most that anything but atoms has grown by."""
    return max(now - then for now, then in zip(counts(beam)[1:], before[1:], strict=True))


async def test_many_runs_leave_the_node_as_it_was(net):
    """`make guest` does it a thousand times, with whole commands."""
    with net.beam("visited@localhost") as beam:

        async def run() -> None:
            async with net.node() as node:
                await node.call(beam.name, "erlang", "node", [], timeout=LONG)

        for _ in range(20):
            await run()
        await asyncio.to_thread(eventually, "all are gone", lambda: beam.eval("nodes(hidden)") == "[]")
        before = counts(beam)
        for _ in range(15):
            await asyncio.gather(*[run() for _ in range(10)])
        await asyncio.to_thread(eventually, "it is as before", lambda: grown(beam, before) <= A_FEW)
        # ten at a time were lent names, and a name is lent again and again
        assert counts(beam)[0] - before[0] < 10 * A_FEW


async def test_a_thousand_calls_leave_the_node_as_it_was(net, beam):
    async with net.node() as node:
        await node.call(beam.name, "erlang", "node", [], timeout=LONG)
        before = counts(beam)
        for _ in range(10):
            await asyncio.gather(*[node.call(beam.name, "erlang", "node", [], timeout=LONG) for _ in range(100)])
        await asyncio.to_thread(eventually, "it is as before", lambda: grown(beam, before) <= A_FEW)
        assert counts(beam)[0] - before[0] <= A_FEW


def test_a_phase_of_connecting_ends_before_that_of_the_node():
    assert PHASE_TIMEOUT < 7
