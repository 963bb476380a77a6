"""`preview` as a whole process against a native hidden node that calls MongooseIM's own collector on the same nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from erlang_stubs.cluster import StubCluster
from tests.bench.paired import clocked, milliseconds, show, take_turns
from tests.support.bridge import Bridge

ROUNDS = 25

NATIVE = """#!/usr/bin/env escript
%%! -sname native@localhost -hidden -connect_all false -start_epmd false
main([Name]) ->
    Entry = list_to_atom(Name),
    Nodes = [Entry | erpc:call(Entry, erlang, nodes, [])],
    Calls = [erpc:send_request(Node, mongoose_system_metrics_collector, collect, [[], prometheus]) || Node <- Nodes],
    true = length(Nodes) > 1,
    io:format("~p~n", [[erpc:receive_response(Call, 20000) || Call <- Calls]]).
"""
PEAK = """
import atexit, re, sys
from bridge.cli.main import main
@atexit.register
def peak():
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
main()
"""
"""Runs the command and writes its peak in kB to stderr, for ru_maxrss counts the parent's, from before exec."""


def run() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, StubCluster() as cluster:
        bridge = Bridge(Path(folder, "bridge"), cluster.environ)
        script = Path(folder, "native.escript")
        script.write_text(NATIVE)
        native = {**os.environ, **cluster.environ, "HOME": str(cluster.cookie_file.parent)}
        command = bridge.command("preview", "--format", "json")
        ours = bridge.process_environ()
        works = {
            "preview": partial(_process, command, ours),
            "native escript": partial(_process, ["escript", str(script), cluster.entry], native),
            "python with click and asyncio": partial(_process, [sys.executable, "-c", "import click, asyncio"], ours),
        }
        taken = take_turns(works, ROUNDS)
        measured = [sys.executable, "-c", PEAK, *command[1:]]
        done = subprocess.run(measured, env=ours, capture_output=True, text=True, check=True)
    ratio = taken["preview"].median / taken["native escript"].median
    rows = [[name, milliseconds(each.median), ""] for name, each in taken.items()]
    rows.append(["preview against the escript, medians", f"{ratio:.2f}", "0.8 at most"])
    rows.append(["peak memory of preview", f"{int(done.stderr.split()[-1]) / 1024:.1f} MB", "under 28 MB"])
    show("preview --format json of two nodes, from start to end", ["what", "figure", "wanted"], rows)


def _process(command: list[str], environ: dict[str, str]) -> float:
    return clocked(lambda: subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL))
