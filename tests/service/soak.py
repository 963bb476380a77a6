"""The service with timers of one second, while nodes, EPMD and the destination fail: `make soak`.

Three nodes are killed, stopped (SIGSTOP), restarted and renamed, EPMD is restarted, the emulator fails in ways that
are unambiguous. At the end:

- every report that was due while a node was reachable exists exactly once, in the history and at the emulator;
- after every kind of fault the shell of each node could ask the bridge again within seconds;
- memory, file descriptors and threads of the service are flat;
- the log is short, the service stops with 0 and nothing is left in the queue.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bridge import __version__
from erlang_stubs.beam import eventually
from erlang_stubs.cluster import StubCluster
from tests.service.support import RunningService, kept, rows, running, sent
from tests.support.bridge import Bridge
from tests.support.emulator import RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from erlang_stubs.beam import Beam

PERIOD = 1.0
SERVICE = "report = true\ninitial_report = 1000\nperiodic_report = 1000"
SETTINGS = "collect_timeout = 600"
BEFORE, AFTER = 0.3, 0.7
"""Seconds around a report's time in which a node has to be up without a break to count as reachable."""
LATE = 0.25
"""Seconds that a report may begin late on a machine with other work."""
SHELL_SECONDS = 10.0
"""Within which the shell of each node can ask the bridge again after a fault; reports are made every second."""
SHELL = "gen_server:call({mongooseim_bridge, 'mongooseim_bridge@localhost'}, version, 1000)"
CALM = 3.0
"""Seconds without faults at the start and at the end."""
FAULTS = ("503*3", "500*2", "429:retry-after=1*2", "drop*2", "slow=0.4*6", "ok*3; 502*2; ok*5; drop*1")
"""None of them counts events and then hides it, so exactly once is what must come of them."""


@dataclass
class Uptimes:
    """When each node was up, by the time of day; ends are infinite while it is."""

    spans: dict[str, list[list[float]]] = field(default_factory=dict)

    def up(self, name: str) -> None:
        self.spans.setdefault(name, []).append([time.time(), math.inf])

    def down(self, name: str) -> None:
        self.spans[name][-1][1] = time.time()

    def reachable(self, moment: float) -> bool:
        """Whether some node was up around a moment."""
        return any(
            begin <= moment - BEFORE and moment + AFTER <= end for spans in self.spans.values() for begin, end in spans
        )


@dataclass
class Sample:
    """The service as the kernel sees it."""

    rss: int
    descriptors: int
    threads: int


@dataclass
class Sampler:
    """Samples a process twice a second, and how late this machine lets a thread run."""

    pid: int
    samples: list[Sample] = field(default_factory=list)
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """When, and how many seconds, nothing ran here."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while True:
            began = time.time()
            if self.stopped.wait(0.5):
                return
            if (late := time.time() - began - 0.5) > 0.2:
                self.stalls.append((began, late))
            try:
                words = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
                descriptors = len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
            except OSError:
                return
            self.samples.append(Sample(int(words["VmRSS"].split()[0]), descriptors, int(words["Threads"])))


class Chaos:
    """One fault after the other, each mended before long."""

    def __init__(self, cluster: StubCluster, emulator: RunningEmulator, seed: int) -> None:
        self.random = random.Random(seed)
        self.uptimes = Uptimes()
        self.counts: dict[str, int] = {}
        self.paused: list[tuple[float, float]] = []
        self.waits: list[float] = []
        """Seconds until the shell of a node could ask again, for each fault and node."""
        self.problems: list[str] = []
        self._cluster = cluster
        self._emulator = emulator
        for node in cluster.nodes:
            self.uptimes.up(node.name)

    def run(self, until: float) -> None:
        """Faults until a moment of the time of day; everything works again when it returns."""
        acts: Sequence[tuple[Callable[[], None], int]] = (
            (self.kill_one, 3),
            (self.pause_one, 2),
            (self.rename_one, 2),
            (self.kill_entries, 2),
            (self.kill_all, 1),
            (self.pause_all, 1),
            (self.restart_epmd, 1),
            (self.fail_delivery, 5),
        )
        names, weights = zip(*acts, strict=True)
        # Each once, however short the run, then by chance.
        planned = self.random.sample(names, len(names))
        while time.time() < until:
            act = planned.pop() if planned else self.random.choices(names, weights)[0]
            self.counts[act.__name__] = self.counts.get(act.__name__, 0) + 1
            act()
            for node in self._cluster.nodes:
                self.ask_from(node, act.__name__)
            time.sleep(self.random.uniform(0.5, 2.5))
        self._emulator.fail("")

    def ask_from(self, node: Beam, after: str) -> None:
        """Ask the bridge in the shell of a node until it answers."""
        began = time.monotonic()
        while __version__ not in node.eval(f"catch {SHELL}"):
            if time.monotonic() > began + SHELL_SECONDS:
                self.problems.append(f"the shell of {node.name} cannot ask the bridge after {after}")
                break
            time.sleep(0.05)
        self.waits.append(time.monotonic() - began)

    def kill_one(self) -> None:
        node = self.random.choice(self._cluster.nodes)
        self._kill(node)
        time.sleep(self.random.uniform(0.2, 2.0))
        self._start(node)

    def kill_entries(self) -> None:
        """Only the node that no configuration names is left."""
        self._kill_for(self.random.uniform(1.5, 4.0), self._cluster.nodes[:2])

    def kill_all(self) -> None:
        self._kill_for(self.random.uniform(0.5, 9.0), self._cluster.nodes)

    def _kill_for(self, seconds: float, nodes: Sequence[Beam]) -> None:
        for node in nodes:
            self._kill(node)
        time.sleep(seconds)
        for node in nodes:
            self._start(node)

    def pause_one(self) -> None:
        self._pause([self.random.choice(self._cluster.nodes)], self.random.uniform(0.5, 3.0))

    def pause_all(self) -> None:
        self._pause(self._cluster.nodes, self.random.uniform(0.5, 4.0))

    def rename_one(self) -> None:
        """The last node, which is no entry node, comes back under a name that never was."""
        old = self._cluster.nodes.pop()
        self._kill(old)
        self.uptimes.up(self._cluster.add_node().name)

    def restart_epmd(self) -> None:
        self._cluster.epmd.stop()
        time.sleep(self.random.uniform(0.2, 1.5))
        self._cluster.epmd.start()
        # It takes the nodes seconds to be known again.
        names = {node.name.partition("@")[0] for node in self._cluster.nodes}
        ask = '{ok, L} = erl_epmd:names("localhost"), [list_to_atom(N) || {N, _} <- L]'
        eventually(
            "all nodes are with EPMD again",
            lambda: names <= set(self._cluster.nodes[0].eval(ask).strip("[]").split(",")),
        )

    def fail_delivery(self) -> None:
        self._emulator.fail(self.random.choice(FAULTS))

    def _kill(self, node: Beam) -> None:
        self.uptimes.down(node.name)
        node.kill()

    def _start(self, node: Beam) -> None:
        node.start()
        others = ", ".join(f"'{other.name}'" for other in self._cluster.nodes if other is not node)
        node.eval(f"[net_adm:ping(N) || N <- [{others}]]")
        self.uptimes.up(node.name)

    def _pause(self, nodes: Sequence[Beam], seconds: float) -> None:
        began = time.time()
        for node in nodes:
            self.uptimes.down(node.name)
            node.pause()
        time.sleep(seconds)
        for node in nodes:
            node.resume()
            self.uptimes.up(node.name)
        self.paused.append((began, time.time()))


@dataclass
class Attempt:
    """One begun report: when, why, and what became of it."""

    begun: float
    why: str
    report: int | None = None
    failed: bool = False
    ended: float = 0.0


def attempts(log: list[dict[str, Any]]) -> list[Attempt]:
    """All attempts, from the log at DEBUG."""
    found: list[Attempt] = []
    for line in log:
        if line["what"] == "report_begun":
            found.append(Attempt(_when(line), line["why"]))
        elif line["what"] == "report_collected":
            found[-1].ended = _when(line)
            found[-1].report = line["report"]
        elif line["what"] in {"no_node_answered", "report_failed"}:
            found[-1].failed = True
            found[-1].ended = _when(line)
    return found


def _when(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["when"]).timestamp()


def missed(tries: list[Attempt], chaos: Chaos, sampler: Sampler, until: float) -> tuple[int, int, int, list[str]]:
    """The rhythm against what happened: reports due, of these while a node was reachable, excused, and the faults."""
    scheduled = [attempt for attempt in tries if attempt.why == "schedule"]
    first = scheduled[0].begun
    # The rhythm itself is the least late of all beginnings.
    start = first + min((attempt.begun - first + PERIOD / 2) % PERIOD - PERIOD / 2 for attempt in scheduled)
    due = reachable = excused = 0
    problems: list[str] = []

    def slow(moment: float) -> bool:
        """Whether a report may be late: a stopped node makes one take its deadline, or the machine stood still."""
        waited = any(begin - 2 < moment < end + 2 for begin, end in chaos.paused)
        return waited or any(begin - 2 < moment < begin + late + 2 for begin, late in sampler.stalls)

    for attempt in scheduled:
        late = (attempt.begun - start) % PERIOD
        if LATE < late < PERIOD - 0.01 and not slow(attempt.begun):
            problems.append(f"a report began {late:.3f} s after its time")
    for tick in range(int((until - start) / PERIOD)):
        moment = start + tick * PERIOD
        here = [attempt for attempt in tries if -0.01 <= attempt.begun - moment < PERIOD - 0.01]
        made = [attempt for attempt in here if attempt.report is not None]
        due += 1
        if len(made) > 1:
            problems.append(f"{len(made)} reports for the one due at {moment:.3f}")
        if not chaos.uptimes.reachable(moment):
            continue
        reachable += 1
        if made:
            continue
        # What is due while a report is being made is skipped; how many may be is bounded below.
        busy = any(attempt.begun < moment < attempt.ended for attempt in tries)
        if busy or slow(moment):
            excused += 1
        else:
            problems.append(f"no report for the one due at {moment:.3f}: {here}")
    return due, reachable, excused, problems


def flat(samples: list[Sample]) -> tuple[list[str], str]:
    """Compare the second quarter of the run with the last."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    problems = []
    told = []
    for what, slack in (("rss", 3_000), ("descriptors", 3), ("threads", 2)):
        before = median(getattr(sample, what) for sample in early)
        after = median(getattr(sample, what) for sample in late)
        most = max(getattr(sample, what) for sample in samples)
        told.append(f"{what} {before:.0f} -> {after:.0f} (most {most})")
        if after > before + slack:
            problems.append(f"{what} grew from {before:.0f} to {after:.0f}")
    return problems, ", ".join(told)


def soak(seconds: float, seed: int, directory: Path) -> list[str]:
    """One run; what was wrong with it."""
    with StubCluster("default", 3) as cluster, running_emulator(directory / "record.jsonl") as emulator:
        entries = " ".join(node.name for node in cluster.nodes[:2])
        environ = {**cluster.environ, "MONGOOSEIM_BRIDGE_NODES": entries}
        bridge = Bridge(directory / "bridge", environ, (emulator.url,), service=SERVICE, settings=SETTINGS)
        chaos = Chaos(cluster, emulator, seed)
        with running(bridge, "--log-level", "debug", fork=False) as service:
            service.wait_for("report_collected")
            sampler = Sampler(service.process.pid)
            sampling = threading.Thread(target=sampler.run, daemon=True)
            sampling.start()
            until = time.time() + seconds
            time.sleep(CALM)
            chaos.run(until - CALM)
            time.sleep(max(0.0, until - time.time()))
            sampler.stopped.set()
            sampling.join()
            code = service.stop()
        return judged(service, emulator, chaos, sampler, until, code)


def judged(
    service: RunningService, emulator: RunningEmulator, chaos: Chaos, sampler: Sampler, until: float, code: int
) -> list[str]:
    bridge = service.bridge
    log = service.log()
    tries = attempts(log)
    due, reachable, excused, problems = missed(tries, chaos, sampler, until - 2 * PERIOD)
    # What a failing destination left in the queue goes out with one more report.
    if (last := bridge.run("report")).code != 0:
        problems.append(f"the queue could not be emptied: {last.out} {last.err}")
    history, there = kept(bridge), sent(emulator.accepted())
    if there != history:
        problems.append(f"history and emulator differ: {dict(set(there.items()) ^ set(history.items()))}")
    made = [attempt.report for attempt in tries if attempt.report is not None]
    if len(history) != len(made) + 1:
        problems.append(f"{len(made)} reports in the log, {len(history) - 1} in the history")
    if (excess := excused - max(2, reachable // 20)) > 0:
        problems.append(f"{excess} more reports than may be late are missing")
    problems += chaos.problems
    growth, resources = flat(sampler.samples)
    problems += growth
    faults = sum(chaos.counts.values())
    shown = [line for line in log if line["level"] != "debug"]
    beyond = len(shown) - 2 * len(made)
    if beyond > 15 * faults + 20:
        problems.append(f"{beyond} lines besides those of reports and deliveries")
    if code != 0:
        problems.append(f"the service ended with {code}")
    remembered = rows(bridge, "SELECT COUNT(DISTINCT node) FROM totals")[0][0]
    print(f"faults: {', '.join(f'{name} {count}' for name, count in sorted(chaos.counts.items()))}")
    print(f"reports: {due} due, {reachable} of them while a node was reachable, {excused} excused, {len(made)} made")
    print(f"emulator: {sum(there.values())} events of {len(there)} reports, queue empty: {last.code == 0}")
    print(f"service: {resources}; {remembered} nodes remembered")
    print(f"shells: {len(chaos.waits)} could ask after a fault, the last of them after {max(chaos.waits):.1f} s")
    print(f"log: {len(shown)} lines at INFO, {beyond} besides reports and deliveries; exit {code}")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.service.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="the same faults again")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        print(f"seed {seed}, {options.seconds:g} s")
        problems = soak(options.seconds, seed, Path(directory))
        if problems:
            kept_log = Path(tempfile.gettempdir()) / f"soak-{seed}.log"
            kept_log.write_text((Path(directory) / "bridge" / "log-0").read_text())
            print(f"the log of the service is in {kept_log}")
    for problem in problems:
        print(f"WRONG: {problem}")
    print("soak failed" if problems else "soak passed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
