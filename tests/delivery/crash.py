"""Kills processes that make and deliver reports, again and again, and then counts what arrived.

    python -m tests.delivery.crash --kills 200

Whatever was ever in a JSON log or told as collected has to arrive; the state file has to be sound; the increments have
to add up to the counter. Some faults of the endpoint are mixed in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.conditions import Conditions
from bridge.delivery.loop import DeliveryLoop, deliver_within
from bridge.delivery.sender import Sender
from bridge.mongooseim.facts import Incarnation
from bridge.report.json_log import FILE_NAME, prepare
from bridge.report.model import Event, Report
from bridge.state.state import State
from bridge.state.totals import remember, stanza_counts
from tests.delivery.support import destination, targets
from tests.support.emulator import RunningEmulator, running_emulator

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE = Incarnation("mim@host", 1)
EVENTS = 60
"""Of each report: three batches."""
FAULTS = "ok*200; drop*3; ok*200; 500*2; ok*200; cut*1; ok*100; 503*1"


@dataclass(frozen=True)
class Place:
    """Where one run keeps what it has."""

    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def told(self) -> Path:
        """A line per report that was told as collected."""
        return self.directory / "told"

    def tags(self) -> set[str]:
        """The reports that anybody has ever been told of, by now."""
        tags = set(self.told.read_text().split()) if self.told.exists() else set()
        with suppress(FileNotFoundError):
            tags.add(json.loads((self.logs / FILE_NAME).read_text())[0]["params"]["module"].partition(".")[0])
        return tags


def counter() -> int:
    """What the node's counter says: it only grows, also between the kills."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


async def make_report(store: State, place: Place, url: str, tag: str) -> None:
    """Collect, keep, publish: as the service does it."""
    to = [destination(url, "G-AAAA"), destination(url, "G-BBBB")]
    async with store.reporting():
        for left, its_events in store.unpublished().items():
            prepare(place.logs, its_events).publish()
            store.published(left)
        previous, current = store.stanza_totals(), {NODE: {"xmppMessageSent": counter()}}
        (stanzas,) = stanza_counts(previous, current)
        events = [Event("module_with_opt", {"module": f"{tag}.{number}"}) for number in range(EVENTS)]
        events.append(Event("xmpp_stanza_count", {"total": stanzas.total, "increment": stanzas.increment}))
        made = Report(
            store.client_id(),
            time.time_ns() // 1000,
            tuple(events),
            remember(previous, current),
            nodes={NODE.node: None},
        )
        prepared = prepare(place.logs, made.events)
        number = store.add(made, targets(made, to))
        prepared.publish()
        store.published(number)
    with place.told.open("a") as told:
        told.write(f"{tag}\n")


async def deliver_all(store: State, url: str, seconds: float = 30.0) -> None:
    async with Sender() as sender:
        to = [destination(url, "G-AAAA"), destination(url, "G-BBBB")]
        known = Conditions()
        loops = [DeliveryLoop(one, store, sender, known, uniform=lambda least, most: 0.0) for one in to]
        await deliver_within(loops, seconds)


async def work(place: Place, url: str, tags: Sequence[str] | count[int]) -> None:
    """Make reports and deliver them, one after the other."""
    with State.open(place.state) as store:
        for tag in tags:
            await make_report(store, place, url, f"p{os.getpid()}n{tag}")
            await deliver_all(store, url)


def start(place: Place, url: str, reports_to_make: int | None = None) -> multiprocessing.process.BaseProcess:
    """A process that makes so many reports, or goes on for ever. Forked, so that it is at work at once."""
    tags: Sequence[str] | count[int] = count() if reports_to_make is None else list(map(str, range(reports_to_make)))
    process = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(work(place, url, tags)))
    process.start()
    return process


@dataclass(frozen=True)
class Result:
    """What a run has shown."""

    reports: int
    lost: set[str]
    twice: int
    sound: bool
    queued: int
    increments: int
    total: int


def crash(place: Place, kills: int, seed: int) -> Result:
    """Kill so many processes at random moments, then let one finish the work."""
    generator = random.Random(seed)
    with running_emulator(place.directory / "record", "--fail", FAULTS) as emulator:
        known: set[str] = set()
        for _ in range(kills):
            process = start(place, emulator.url)
            time.sleep(generator.uniform(0.0, 0.3))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            known |= place.tags()
        return finish(place, emulator, known)


def finish(place: Place, emulator: RunningEmulator, known: set[str]) -> Result:
    """One last start: what the dead held is free at once. Then count."""
    emulator.fail("")
    with State.open(place.state) as store:
        asyncio.run(make_report(store, place, emulator.url, "last"))
        asyncio.run(deliver_all(store, emulator.url, 60))
        known |= place.tags()
        records = store.status(1_000_000).reports
        queued = sum(one.queued for record in records for one in record.deliveries)
        increments = 0
        for record in records:
            found = store.report(record.id)
            assert found is not None
            known.add(str(found[1][0].params["module"]).partition(".")[0])
            increments += int(found[1][-1].params["increment"])
        total = store.stanza_totals()[NODE]["xmppMessageSent"]
    arrived: dict[str, Counter[str]] = {"G-AAAA": Counter(), "G-BBBB": Counter()}
    for event in emulator.accepted():
        if event["name"] == "module_with_opt":
            arrived[event["measurement_id"]][event["params"]["module"]] += 1
    lost = {
        f"{tag}.{number} at {name}"
        for tag in known
        for number in range(EVENTS)
        for name, events in arrived.items()
        if f"{tag}.{number}" not in events
    }
    twice = sum(times - 1 for events in arrived.values() for times in events.values())
    with closing(sqlite3.connect(place.state / "bridge.sqlite3")) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return Result(len(known), lost, twice, sound, queued, increments, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory(prefix="crash-") as directory:
        started = time.monotonic()
        result = crash(Place(Path(directory)), given.kills, given.seed)
    print(
        f"{given.kills} kills in {time.monotonic() - started:.0f} s: {result.reports} reports, "
        f"{len(result.lost)} events lost, {result.twice} arrived twice, {result.queued} still queued, "
        f"file {'sound' if result.sound else 'DAMAGED'}, increments {result.increments} of {result.total}"
    )
    good = not result.lost and result.sound and not result.queued and result.increments == result.total
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
