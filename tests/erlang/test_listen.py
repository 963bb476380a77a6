"""The listening side and the guest's duties: what real nodes get from us, and how long they wait for it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from bridge.erlang import Atom, Node, Pid
from bridge.erlang import listener as listening
from bridge.erlang import node as node_module
from bridge.erlang.dial import ask_epmd
from bridge.erlang.errors import BadNodeName, NameConflict, NotRegistered
from bridge.secret import Secret
from erlang_stubs.beam import Epmd, eventually, free_port
from tests.erlang.conftest import COOKIE, until

LONG = 20
NAME = "guest@localhost"


async def ask(beam, expressions: str) -> str:
    """What a node gives, while our loop goes on."""
    return await asyncio.to_thread(beam.eval, expressions)


async def waited(beam, expressions: str) -> tuple[str, int]:
    """The result or exit of expressions in a node, and how many milliseconds they took there."""
    found = await ask(beam, f"{{T, V}} = timer:tc(fun() -> (catch begin {expressions} end) end), {{T div 1000, V}}")
    took, _, value = found.strip("{}").partition(",")
    return value, int(took)


async def test_ping_gives_pong_as_first_contact_and_again(net, beam):
    async with net.node(NAME) as node:
        await node.listen("127.0.0.1")
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"
        assert NAME in await ask(beam, "nodes(hidden)")
        assert await ask(beam, "nodes()") == "[]"
        assert node.connected() == [beam.name]
        assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
    await asyncio.to_thread(eventually, "we are gone", lambda: NAME not in beam.eval("nodes(hidden)"))


async def test_epmd_lists_us_while_we_listen(net, beam):
    async with net.node(NAME) as node:
        port = await node.listen("127.0.0.1")
        assert await ask(beam, "erl_epmd:names({127,0,0,1})") != ""
        assert f'{{"guest",{port}}}' in await ask(beam, "element(2, erl_epmd:names({127,0,0,1}))")
    await asyncio.to_thread(
        eventually, "we are gone", lambda: '"guest"' not in beam.eval("element(2, erl_epmd:names({127,0,0,1}))")
    )


async def test_the_creation_is_the_one_that_epmd_gave(net, beam):
    async with net.node(NAME) as node:
        await node.listen("127.0.0.1")
        pid = await node.call(beam.name, "erlang", "whereis", [Atom("nobody")], timeout=LONG)
        assert pid == "undefined"
        assert node.creation > 3


async def test_a_name_that_is_taken_is_a_conflict(net, beam):
    async with net.node("shared@localhost") as node:
        with pytest.raises(NameConflict, match="shared@localhost"):
            await node.listen("127.0.0.1")
    async with net.node(NAME) as one, net.node(NAME) as other:
        await one.listen("127.0.0.1")
        with pytest.raises(NameConflict, match="second bridge"):
            await other.listen("127.0.0.1")


async def test_listening_needs_a_name_and_an_epmd(net25):
    async with net25.node() as node:
        with pytest.raises(BadNodeName):
            await node.listen("127.0.0.1")
    async with Node(NAME, Secret(COOKIE), epmd_port=free_port()) as node:
        with pytest.raises(NotRegistered):
            await node.listen("127.0.0.1")
        assert await node.listen("127.0.0.1", publish=False) > 0


async def test_a_port_that_is_taken_is_an_os_error(net25):
    async with net25.node(NAME) as one, net25.node("other@localhost") as other:
        port = await one.listen("127.0.0.1")
        with pytest.raises(OSError, match="in use"):
            await other.listen("127.0.0.1", port)


async def test_after_an_epmd_restart_we_are_registered_again(net25, beam25, monkeypatch):
    monkeypatch.setattr(listening, "LONGEST_BACKOFF", 0.5)
    with Epmd() as own_epmd:
        async with Node(NAME, Secret(COOKIE), epmd_port=own_epmd.port) as node:
            port = await node.listen("127.0.0.1")
            creation = node.creation

            async def known() -> bool:
                found = await ask_epmd("127.0.0.1", own_epmd.port, "guest")
                return found is not None and found.port == port

            assert await known()
            await asyncio.to_thread(own_epmd.stop)
            await asyncio.sleep(0.5)  # it is away for a while, and an attempt fails
            await asyncio.to_thread(own_epmd.start)
            await until("we are registered again", known)
            assert node.creation == creation


async def test_registered_names_answer_calls(net, beam):
    async with net.node(NAME) as node:

        async def handle(request: object) -> object:
            return (Atom("got"), request)

        node.register("reporter", handle)
        await node.listen("127.0.0.1")
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
        await node.listen("127.0.0.1")
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
        await node.listen("127.0.0.1")
        asking = f"""Self = self(), Ask = fun(N) -> spawn(fun() ->
                Self ! {{N, catch gen_server:call({{slow, '{NAME}'}}, N, 30000)}} end) end,
            [Ask(N) || N <- [1, 2]], net_adm:ping('{NAME}'), timer:sleep(200), Ask(3),
            receive {{3, {{'EXIT', {{Why, _}}}}}} -> Why after 20000 -> late end"""
        assert await ask(beam25, asking) == "overload"
        release.set()
        assert await ask(beam25, "receive {1, 1} -> ok after 20000 -> late end") == "ok"


async def test_peers_that_came_of_themselves_are_forgotten_when_they_go(net25):
    async with net25.node("server@localhost") as server:
        await server.listen("127.0.0.1")
        for number in range(3):
            async with net25.node(f"visitor{number}@localhost") as visitor:
                await visitor.connect("server@localhost", timeout=LONG)
                assert server.incarnation(f"visitor{number}@localhost") == visitor.creation
        await until("they are forgotten", lambda: server._peers == {})
        assert server._known == {}


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
        await node.listen("127.0.0.1")
        value, took = await waited(beam, expressions.replace("GUEST", f"'{NAME}'"))
        assert expected in value
        assert took < 20_000
        assert await ask(beam, f"net_adm:ping('{NAME}')") == "pong"
        assert node.connected() == [beam.name]


async def test_a_pid_of_ours_that_is_linked_or_monitored_is_no_process(net, beam):
    """Links and monitors of a pid, as code does it that was handed one."""
    async with net.node(NAME) as node:
        await node.listen("127.0.0.1")
        await ask(beam, f"net_adm:ping('{NAME}')")
        pid = Pid(Atom(NAME), 99, 0, node.creation)
        await node.call(beam.name, "persistent_term", "put", [Atom("a_pid"), pid], timeout=LONG)
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


async def test_connects_from_both_sides_at_once_end_in_one_connection(net):
    """The greater name keeps its attempt: ours is the smaller one in one case, the greater in the other."""
    for name in ("aaa@localhost", "zzz@localhost"):
        with net.beam("mmm@localhost") as beam:
            async with net.node(name) as node:
                await node.listen("127.0.0.1")
                for _ in range(10):
                    theirs = asyncio.ensure_future(ask(beam, f"net_adm:ping('{name}')"))
                    ours = [node.call(beam.name, "erlang", "node", [], timeout=LONG) for _ in range(3)]
                    assert await asyncio.gather(*ours) == [beam.name] * 3
                    assert await theirs == "pong"
                    assert await node.call(beam.name, "erlang", "length", [[1]], timeout=LONG) == 1
                    await ask(beam, f"erlang:disconnect_node('{name}')")
                    await until("we are disconnected", lambda: not node.connected())


@pytest.mark.parametrize(
    ("peer", "connected", "shaking", "status"),
    [
        ("a@h", False, False, "ok"),
        ("a@h", True, False, "alive"),
        ("a@h", False, True, "nok"),  # ours is the greater name
        ("z@h", False, True, "ok_simultaneous"),
        ("z@h", True, True, "alive"),
    ],
)
def test_what_a_peer_hears_that_connects(peer, connected, shaking, status):
    node = Node("m@h", Secret(COOKIE))
    assert node._status(peer) == "ok"
    yielded: list[str] = []
    node._peers[peer] = SimpleNamespace(
        connection=connected or None, shaking=shaking, yield_to_it=lambda: yielded.append(peer)
    )
    assert node._status(peer) == status
    assert bool(yielded) == (status == "ok_simultaneous")


async def test_two_of_ours_that_connect_to_each_other_at_once_share_one_connection(net25):
    for _ in range(10):
        async with net25.node("one@localhost") as one, net25.node("two@localhost") as two:
            await one.listen("127.0.0.1")
            await two.listen("127.0.0.1")
            await asyncio.gather(one.connect("two@localhost", timeout=LONG), two.connect("one@localhost", timeout=LONG))

            def shared(one=one, two=two) -> bool:
                ours, theirs = one._peers["two@localhost"].connection, two._peers["one@localhost"].connection
                if not ours or not theirs:
                    return False
                ends = [
                    each._transport.get_extra_info(end) for each in (ours, theirs) for end in ("sockname", "peername")
                ]
                return ends[0] == ends[3] and ends[1] == ends[2]

            await until("both have the same connection", shared)
            await asyncio.sleep(0.02)
            assert shared()


async def test_an_older_connection_that_the_peer_has_not_missed_yet_is_replaced(net, beam):
    """As after a crash of ours: the peer answers `alive`, and we go on."""
    async with net.node(NAME) as one:
        assert await one.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
        async with net.node(NAME) as other:
            assert await other.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name
            await until("the old one is gone", lambda: not one.connected())


async def test_a_peer_that_comes_again_before_we_missed_it_replaces_its_connection(net25):
    """Two of our own nodes, of which one crashes without a word."""
    async with net25.node("server@localhost") as server:
        await server.listen("127.0.0.1")
        first = net25.node("client@localhost")
        await first.connect("server@localhost", timeout=LONG)
        old = server._peers["client@localhost"].connection
        async with net25.node("client@localhost") as second:
            await second.connect("server@localhost", timeout=LONG)
            assert old.lost
            assert server._peers["client@localhost"].connection is not old
            assert server.connected() == ["client@localhost"]
        await first.close()


async def test_a_peer_with_another_cookie_or_nothing_to_say_is_turned_away(net25, monkeypatch):
    monkeypatch.setattr(listening, "PHASE_TIMEOUT", 0.2)
    async with net25.node("server@localhost") as server:
        port = await server.listen("127.0.0.1")
        async with net25.node("client@localhost", cookie="wrong") as client:
            with pytest.raises(Exception, match="cookie"):
                await client.connect("server@localhost", timeout=LONG)
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0", b"\0\1n", b"\0\x04Nabc", b"\xff" * 70_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(LONG):
                try:
                    while await reader.read(1000):
                        pass
                except OSError:
                    pass
            writer.transport.abort()
        assert server._listener._shaking == {}
        assert server.connected() == []


async def test_peers_in_their_handshake_are_bounded(net25, monkeypatch):
    monkeypatch.setattr(listening, "HANDSHAKES", 3)
    async with net25.node("server@localhost") as server:
        port = await server.listen("127.0.0.1")
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        closed = [asyncio.ensure_future(reader.read(1)) for reader, _ in opened]
        await until("three are turned away", lambda: sum(read.done() for read in closed) >= 3)
        assert len(server._listener._shaking) == 3
        for read, (_, writer) in zip(closed, opened, strict=True):
            writer.transport.abort()
            await asyncio.wait({read})
            read.exception()
