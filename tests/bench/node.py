"""Remote calls against native `erl -hidden` and erldistpy: one at a time, a thousand at once, 20 MB, start, memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.erlang import Node
from bridge.secret import Secret
from erlang_stubs.beam import Beam, Epmd, write_cookie
from tests.bench.paired import Measured, clocked, milliseconds, show, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable

COOKIE = "bench"
PEER = "bench@localhost"
ROUNDS = 9
SHORT_ROUNDS = 101
"""For what takes 20 ms, in which a scheduler's moods count."""
SEQUENTIAL = 2000
IN_FLIGHT = 1000
MEGABYTES = 20
LONG = 60

_IN_NODE = {
    "one at a time": f"[erpc:call('{PEER}', erlang, node, []) || _ <- lists:seq(1, {SEQUENTIAL})]",
    "1000 in flight": f"""[erpc:receive_response(R) || R <-
        [erpc:send_request('{PEER}', erlang, node, []) || _ <- lists:seq(1, {IN_FLIGHT})]]""",
    "20 MB reply": f"erpc:call('{PEER}', binary, copy, [<<1>>, {MEGABYTES}000000])",
}
_FIRST_ANSWER = f"""
import asyncio
from bridge.erlang import Node
from bridge.secret import Secret
async def main():
    async with Node(None, Secret({COOKIE!r})) as node:
        await node.call({PEER!r}, "erlang", "node", [], timeout=20)
asyncio.run(main())
"""
_MEMORY = f"""
import asyncio, re
from bridge.erlang import Node
from bridge.secret import Secret
def peak():  # ru_maxrss counts the parent's, from before exec
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
async def main():
    async with Node(None, Secret({COOKIE!r})) as node:
        await node.call({PEER!r}, "erlang", "node", [], timeout=20)
        small = peak()
        await node.call({PEER!r}, "binary", "copy", [b"x", {MEGABYTES}000000], timeout=60)
        print(small, peak())
asyncio.run(main())
"""
_ERLDISTPY = f"""
import os, erldistpy.node
from functools import partial
from erldistpy import Node, Atom
erldistpy.node.lookup = partial(erldistpy.lookup, port=int(os.environ["ERL_EPMD_PORT"]))
with Node(our_name="first@localhost", peer_name="bench", cookie={COOKIE!r}) as node:
    node.call("rex", (Atom("call"), Atom("erlang"), Atom("node"), [], Atom("user")))
"""


def run() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_cookie(home, COOKIE)
        with Epmd() as epmd, Beam(PEER, home, epmd.port) as beam, asyncio.Runner() as runner:
            os.environ["ERL_EPMD_PORT"] = str(epmd.port)
            with Beam("native@localhost", home, epmd.port, args=["-hidden"]) as native:
                _calls(runner, native, epmd.port)
            _starts(home, epmd.port)
            _memory(beam)


def _calls(runner: asyncio.Runner, native: Beam, epmd_port: int) -> None:
    node = runner.run(_made(epmd_port))
    peers: dict[str, Callable[[str], float] | None] = {
        "bridge": lambda what: runner.run(_ours(node, what)),
        "native": lambda what: _native(native, what),
        "erldistpy": _erldistpy(epmd_port) if find_spec("erldistpy") else None,
    }
    rows = []
    for what in _IN_NODE:
        works = {who: partial(work, what) for who, work in peers.items() if work}
        if what == "1000 in flight":
            works.pop("erldistpy", None)  # it has one call at a time
        taken = take_turns(works, SHORT_ROUNDS if what == "1000 in flight" else ROUNDS)
        ours = taken["bridge"]
        rows.append(
            [what, _figure(what, ours), *(_against(what, taken.get(who), ours) for who in ("native", "erldistpy"))]
        )
    show(
        "Calls of erlang:node/0: median, and ours as a part of theirs, round by round",
        ["", "bridge", "native erl", "erldistpy"],
        rows,
    )
    runner.run(node.close())


async def _made(epmd_port: int) -> Node:
    node = Node(None, Secret(COOKIE), epmd_port=epmd_port)
    await node.connect(PEER, timeout=LONG)
    return node


async def _ours(node: Node, what: str) -> float:
    began = time.perf_counter()
    if what == "one at a time":
        for _ in range(SEQUENTIAL):
            await node.call(PEER, "erlang", "node", [], timeout=LONG)
    elif what == "1000 in flight":
        await asyncio.gather(*[node.call(PEER, "erlang", "node", [], timeout=LONG) for _ in range(IN_FLIGHT)])
    else:
        await node.call(PEER, "binary", "copy", [b"\1", MEGABYTES * 10**6], timeout=LONG)
    return time.perf_counter() - began


def _native(native: Beam, what: str) -> float:
    return int(native.eval(f"element(1, timer:tc(fun() -> {_IN_NODE[what]} end))")) / 1e6


def _erldistpy(epmd_port: int) -> Callable[[str], float]:
    import erldistpy.node  # noqa: PLC0415 - an extra
    from erldistpy import Atom, Node  # noqa: PLC0415 - an extra

    erldistpy.node.lookup = partial(erldistpy.lookup, port=epmd_port)  # it knows EPMD at its usual port only
    node = Node(our_name="peer@localhost", peer_name="bench", cookie=COOKIE)

    def call(function: tuple[str, str], args: list[object]) -> object:
        module, name = function
        return node.call("rex", (Atom("call"), Atom(module), Atom(name), args, Atom("user")), timeout=LONG)

    def work(what: str) -> float:
        if what == "one at a time":
            return clocked(lambda: [call(("erlang", "node"), []) for _ in range(SEQUENTIAL)])
        return clocked(lambda: call(("binary", "copy"), [b"\1", MEGABYTES * 10**6]))

    return work


def _count(what: str) -> int:
    return {"one at a time": SEQUENTIAL, "1000 in flight": IN_FLIGHT}.get(what, 1)


def _figure(what: str, taken: Measured) -> str:
    count = _count(what)
    return milliseconds(taken.median) if count == 1 else f"{count / taken.median:,.0f}/s"


def _against(what: str, peer: Measured | None, ours: Measured) -> str:
    return "cannot" if peer is None else f"{_figure(what, peer)} ({peer.ratio_to(ours):.2f})"


def _process(home: Path, epmd_port: int, *command: str) -> float:
    environ = {**os.environ, "HOME": str(home), "ERL_EPMD_PORT": str(epmd_port)}
    return clocked(lambda: subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL))


def _starts(home: Path, epmd_port: int) -> None:
    python = [sys.executable, "-c"]
    commands = {
        "python -c pass": [*python, "pass"],
        "import bridge.erlang": [*python, "import bridge.erlang"],
        "import asyncio": [*python, "import asyncio"],
        "first answer: bridge": [*python, _FIRST_ANSWER],
        "first answer: erldistpy": [*python, _ERLDISTPY],
        "first answer: erl": [
            *("erl", "-noshell", "-hidden", "-sname", "first@localhost", "-eval"),
            f"erpc:call('{PEER}', erlang, node, []), erlang:halt(0, [{{flush, false}}])",
        ],
    }
    if not find_spec("erldistpy"):
        del commands["first answer: erldistpy"]
    works = {what: partial(_process, home, epmd_port, *command) for what, command in commands.items()}
    taken = take_turns(works, ROUNDS)
    show(
        "Processes from start to end",
        ["", "median"],
        [[what, milliseconds(each.median)] for what, each in taken.items()],
    )


def _memory(beam: Beam) -> None:
    done = subprocess.run([sys.executable, "-c", _MEMORY], check=True, capture_output=True, text=True)
    small, large = done.stdout.split()
    rows = [["after a small call", f"{small} MB"], ["after a reply of 20 MB", f"{large} MB"]]
    show(f"Peak memory of a process that calls {beam.name}", ["", "resident"], rows)
