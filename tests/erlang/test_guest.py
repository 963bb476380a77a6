"""What real nodes get from us over connections that we have made, and how long they wait for it."""

from __future__ import annotations

import asyncio

import pytest

from bridge.erlang import Atom, NodeDown
from bridge.erlang import node as node_module
from bridge.erlang.errors import ConnectError, NameTaken
from erlang_stubs.beam import eventually
from tests.erlang.conftest import LONG, SLEEPERS, sleepers, until

NAME = "guest@localhost"


async def ask(beam, expressions: str) -> str:
    """What a node gives, while our loop goes on."""
    return await asyncio.to_thread(beam.eval, expressions)


async def waited(beam, expressions: str) -> tuple[str, int]:
    """The result or exit of expressions in a node, and how many milliseconds they took there."""
    found = await ask(beam, f"{{T, V}} = timer:tc(fun() -> (catch begin {expressions} end) end), {{T div 1000, V}}")
    took, _, value = found.strip("{}").partition(",")
    return value, int(took)


async def test_a_node_that_we_called_pings_us(net, beam):
    async with net.node(NAME) as node:
        await node.connect(beam.name, timeout=LONG)
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"
        assert NAME in await ask(beam, "nodes(hidden)")
        assert await ask(beam, "nodes()") == "[]"
        assert node.connected() == [beam.name]
        assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
    await asyncio.to_thread(eventually, "we are gone", lambda: NAME not in beam.eval("nodes(hidden)"))


async def test_registered_names_answer_calls(net, beam):
    async with net.node(NAME) as node:

        async def handle(request: object) -> object:
            return (Atom("got"), request)

        node.register("reporter", handle)
        await node.connect(beam.name, timeout=LONG)
        call = f"gen_server:call({{reporter, '{NAME}'}}, {{report, [1, 2.5, <<\"x\">>]}})"
        assert await ask(beam, call) == '{got,{report,[1,2.5,<<"x">>]}}'
        assert await ask(beam, f"gen_server:call({{reporter, '{NAME}'}}, again, 1000)") == "{got,again}"
        # as before OTP 24, without an alias
        plain = f"""R = monitor(process, {{reporter, '{NAME}'}}),
            {{reporter, '{NAME}'}} ! {{'$gen_call', {{self(), R}}, old}},
            receive {{R, Answer}} -> demonitor(R, [flush]), Answer after 5000 -> late end"""
        assert await ask(beam, plain) == "{got,old}"


@pytest.mark.parametrize("result", [None, "raise"])
async def test_a_handler_that_fails_ends_the_call_at_once(net, beam, result, caplog):
    async with net.node(NAME) as node:

        async def handle(request: object) -> object:
            if result == "raise":
                raise RuntimeError("with a secret in it")
            return None  # no term

        node.register("reporter", handle)
        await node.connect(beam.name, timeout=LONG)
        value, took = await waited(beam, f"gen_server:call({{reporter, '{NAME}'}}, now, 30000)")
        assert "bridge_error" in value
        assert took < 20_000
        assert "secret" not in caplog.text


async def test_requests_beyond_what_is_handled_at_once_end_at_once(net25, beam25, monkeypatch):
    monkeypatch.setattr(node_module, "REQUESTS", 2)
    async with net25.node(NAME) as node:
        release = asyncio.Event()

        async def handle(request: object) -> object:
            await release.wait()
            return request

        node.register("slow", handle)
        await node.connect(beam25.name, timeout=LONG)
        asking = f"""Self = self(), Ask = fun(N) -> spawn(fun() ->
                Self ! {{N, catch gen_server:call({{slow, '{NAME}'}}, N, 30000)}} end) end,
            [Ask(N) || N <- [1, 2]], net_adm:ping('{NAME}'), timer:sleep(200), Ask(3),
            receive {{3, {{'EXIT', {{Why, _}}}}}} -> Why after 20000 -> late end"""
        assert await ask(beam25, asking) == "overload"
        release.set()
        assert await ask(beam25, "receive {1, 1} -> ok after 20000 -> late end") == "ok"


# Everything else must be answered with "there is no such process", since these block without an answer.
@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        ("gen_server:call({nobody, GUEST}, hello, 60000)", "noproc"),
        ("R = monitor(process, {nobody, GUEST}), receive {'DOWN', R, _, _, W} -> W after 60000 -> late end", "noproc"),
        ("rpc:call(GUEST, erlang, node, [], 60000)", "{badrpc,"),
        ("erpc:call(GUEST, erlang, node, [], 60000)", "notsup"),
        ("P = spawn(GUEST, erlang, node, []), is_pid(P)", "true"),
        ("spawn_monitor(GUEST, erlang, node, [])", "notsup"),
        (
            "process_flag(trap_exit, true), P = spawn(GUEST, erlang, node, []), link(P), "
            "receive {'EXIT', P, W} -> W after 60000 -> late end",
            "no",
        ),
        ("{global_name_server, GUEST} ! anything, {nobody, GUEST} ! more, ok", "ok"),
        ("gen_server:multi_call([node(), GUEST], nobody, hello, 60000)", "{[],["),
        ("gen_server:multi_call([GUEST], net_kernel, {is_auth, node()}, 60000)", "yes"),
        ("net_adm:ping(GUEST)", "pong"),
        ("global:sync()", "ok"),
        (
            "seq_trace:set_token(label, 7), V = (catch gen_server:call({nobody, GUEST}, hello, 60000)), "
            "seq_trace:set_token([]), V",
            "noproc",
        ),
        (
            "seq_trace:set_token(label, 7), V = (catch erpc:call(GUEST, erlang, node, [], 60000)), "
            "seq_trace:set_token([]), V",
            "notsup",
        ),
    ],
)
async def test_nothing_blocks_in_a_peer_and_nothing_is_executed_for_it(net, beam, expressions, expected):
    async with net.node(NAME) as node:
        await node.connect(beam.name, timeout=LONG)
        value, took = await waited(beam, expressions.replace("GUEST", f"'{NAME}'"))
        assert expected in value
        assert took < 20_000
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"
        assert node.connected() == [beam.name]


async def test_a_pid_of_ours_that_is_linked_or_monitored_is_no_process(net, beam):
    """Links and monitors of a pid, as code does it that was handed one."""
    async with net.node(NAME) as node:
        await node.connect(beam.name, timeout=LONG)
        call = asyncio.ensure_future(node.call(beam.name, "timer", "sleep", [Atom("infinity")], timeout=LONG))
        await asyncio.to_thread(eventually, "the process runs", lambda: sleepers(beam) == "1")
        await ask(
            beam, f"[P] = {SLEEPERS}, {{parent, Ours}} = process_info(P, parent), persistent_term:put(a_pid, Ours)"
        )
        call.cancel()
        monitored = """R = monitor(process, persistent_term:get(a_pid)),
            receive {'DOWN', R, _, _, W} -> W after 30000 -> late end"""
        assert (await waited(beam, monitored))[0] == "noproc"
        linked = """process_flag(trap_exit, true), P = persistent_term:get(a_pid), link(P),
            receive {'EXIT', P, W} -> W after 30000 -> late end"""
        assert (await waited(beam, linked))[0] == "noproc"
        unlinked = (
            "P = persistent_term:get(a_pid), link(P), unlink(P), receive {'EXIT', P, _} -> ok after 100 -> ok end"
        )
        assert (await waited(beam, unlinked))[0] == "ok"
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_name_that_another_program_took_over_is_left_to_it_until_it_is_free(net, beam, forgets):
    """As after a crash of ours the peer answers `alive` to the newer one, which goes on. The older one gives way."""
    lost: list[str] = []
    async with net.node(NAME, on_down=lambda name, _: lost.append(name)) as one:
        assert await one.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
        async with net.node(NAME) as other:
            assert await other.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
            await until("the older one has lost it", lambda: lost == [beam.name])
            for _ in range(2):
                if forgets:
                    one.forget()
                with pytest.raises(NameTaken, match="second bridge"):
                    await one.connect(beam.name, timeout=LONG)
            assert one.name_taken
            assert other.connected() == [beam.name]
        await asyncio.to_thread(eventually, "it is free", lambda: NAME not in beam.eval("nodes(hidden)"))
        await one.connect(beam.name, timeout=LONG)
        assert not one.name_taken
        assert await one.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


async def test_who_comes_and_goes_is_said_and_a_name_is_not_taken_where_the_peer_has_only_died(net25):
    seen: list[str] = []
    with net25.beam("passing@localhost") as beam:
        callbacks = {"on_up": lambda name: seen.append(f"up {name}"), "on_down": lambda name, _: seen.append("down")}
        async with net25.node(NAME, **callbacks) as node:
            await node.connect(beam.name, timeout=LONG)
            assert seen == [f"up {beam.name}"]
            await asyncio.to_thread(beam.kill)
            await until("its loss is seen", lambda: len(seen) == 2)
            assert not node.name_taken
            with pytest.raises(ConnectError):
                await node.connect(beam.name, timeout=LONG)
            assert not node.name_taken
    assert seen == [f"up {beam.name}", "down"]


async def test_nothing_listens_and_no_epmd_knows_us(net25, beam25):
    async with net25.node(NAME) as node:
        await node.connect(beam25.name, timeout=LONG)
        assert '"guest"' not in await ask(beam25, "element(2, erl_epmd:names({127,0,0,1}))")


async def test_processes_that_run_for_us_end_when_we_close(net, beam):
    """Those of calls in flight, and of calls that were given up a moment before."""
    node = net.node()
    await node.connect(beam.name, timeout=LONG)
    calls = [asyncio.ensure_future(node.call(beam.name, "timer", "sleep", [60_000], timeout=LONG)) for _ in range(20)]
    await asyncio.to_thread(eventually, "they run", lambda: sleepers(beam) == "20")
    for call in calls[:10]:
        call.cancel()
    await node.close()
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert len(asyncio.all_tasks()) == 1
    assert [type(failure) for failure in failures] == [asyncio.CancelledError] * 10 + [NodeDown] * 10
    await asyncio.to_thread(eventually, "none is left", lambda: sleepers(beam) == "0")
