"""The service in this very process: when it has ended, no task, no thread and no descriptor of it is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.app import Installation
from bridge.service.sd_notify import Notifier
from bridge.service.service import Service
from bridge.threads import run
from erlang_stubs.cluster import StubCluster
from tests.service.support import poll
from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


def descriptors() -> set[str]:
    """Open sockets and files by what they are; what the test itself has open is there before and after."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(path.readlink()))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[StubCluster]:
    """Every test leaves it as it was."""
    with StubCluster("default", 2) as cluster:
        yield cluster


@pytest.mark.parametrize("fault", ["none", "node paused", "destination hangs"])
def test_no_task_thread_or_descriptor_is_left(cluster: StubCluster, tmp_path: Path, fault: str) -> None:
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        bridge = Bridge(
            tmp_path / "bridge",
            cluster.environ,
            (emulator.url,),
            service="report = true\ninitial_report = 1\nperiodic_report = 100",
            settings="collect_timeout = 300",
        )
        if fault == "node paused":
            cluster.nodes[1].pause()
        elif fault == "destination hangs":
            emulator.fail("hang")
        # ERL_EPMD_PORT is read of the process itself, which is that of the test.
        environ = bridge.process_environ(MONGOOSEIM_BRIDGE_EPMD_PORT=str(cluster.epmd_port))

        async def main() -> None:
            before = asyncio.all_tasks()
            service = asyncio.create_task(Service(Installation(bridge.config, {}, environ), Notifier(environ)).run())
            await asyncio.to_thread(poll, "a report", (bridge.log_dir / "system_metrics_report.json").exists)
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.2)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(service, 10)
            assert asyncio.all_tasks() - before == set()

        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        handlers |= {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGHUP)}
        threads, opened = set(threading.enumerate()), descriptors()
        try:
            run(main())
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            cluster.nodes[1].resume()
        gc.collect()
        assert set(threading.enumerate()) == threads
        assert descriptors() - opened == set()
