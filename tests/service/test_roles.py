"""The service in two processes: one has the cookie, the other the API secrets, and neither starts with both."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.app import Installation
from bridge.config.errors import ConfigError
from bridge.config.roles import Role
from tests.service.support import FAST, poll, rows, running
from tests.support.bridge import API_SECRET, Bridge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

COLLECTOR, SENDER, GROUP = 64_001, 64_002, 64_003
COLLECT, DELIVER = ("run", "--collect-only"), ("deliver",)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may enter; pytest's own are for nobody else."""
    directory = Path(tempfile.mkdtemp(prefix="roles-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def two_users(place: Path, default_cluster: StubCluster, emulator: RunningEmulator) -> Bridge:
    """One configuration file for both, whose two secrets belong to one user each, and the state directory to both."""
    if os.geteuid() != 0:
        pytest.skip("only root can start processes of two users")
    bridge = Bridge(place / "bridge", default_cluster.environ, (emulator.url,), service=FAST)
    cookie = place / "cookie"
    cookie.write_bytes(default_cluster.cookie_file.read_bytes())
    cookie.chmod(0o400)
    os.chown(cookie, COLLECTOR, COLLECTOR)
    os.chown(place / "bridge" / "api-secret", SENDER, SENDER)
    bridge.extra = {"MONGOOSEIM_BRIDGE_COOKIE_FILE": str(cookie)}
    for directory, mode in ((bridge.state_dir, 0o2770), (bridge.log_dir, 0o755)):
        directory.mkdir()
        os.chown(directory, COLLECTOR, GROUP)
        directory.chmod(mode)
    return bridge


def can_read(path: Path, user: int) -> bool:
    return (
        subprocess.run(
            ["cat", path], user=user, group=GROUP, extra_groups=[], capture_output=True, check=False
        ).returncode
        == 0
    )


def test_two_users_who_share_the_state_directory_alone_report_together(
    two_users: Bridge, emulator: RunningEmulator
) -> None:
    bridge = two_users
    cookie, secret = Path(bridge.extra["MONGOOSEIM_BRIDGE_COOKIE_FILE"]), bridge.directory / "api-secret"
    assert (can_read(cookie, COLLECTOR), can_read(cookie, SENDER)) == (True, False)
    assert (can_read(secret, COLLECTOR), can_read(secret, SENDER)) == (False, True)
    with running(bridge, command=COLLECT, user=(COLLECTOR, GROUP)) as collector:
        assert collector.wait_for("service_started")["mode"] == "collecting"
        collector.wait_for("report_collected")
        with running(bridge, command=DELIVER, user=(SENDER, GROUP)) as sender:
            assert sender.wait_for("service_started")["mode"] == "delivering"
            emulator.wait_for(lambda events: bool(events) and all(event["accepted"] for event in events))
            poll(
                "a delivery is in the state file",
                lambda: rows(bridge, "SELECT 1 FROM counters WHERE outcome = 'delivered'"),
            )
            files = [path.stat() for path in bridge.state_dir.iterdir()]
            assert {(stat.S_IMODE(file.st_mode), file.st_gid) for file in files} == {(0o660, GROUP)}
            assert {file.st_uid for file in files} == {COLLECTOR, SENDER}
            assert sender.stop() == 0
        assert rows(bridge, "SELECT 1 FROM meta WHERE key = 'service'"), "it is the collector's, and it still runs"
        secret.chmod(0o444)
        collector.send(signal.SIGHUP)
        assert "can read an API secret" in collector.wait_for("reload_refused")["problem"]
    assert not rows(bridge, "SELECT 1 FROM meta WHERE key = 'service'")
    said = "".join(log.read_text() for log in bridge.directory.glob("log-*"))
    assert API_SECRET not in said


def refusal(bridge: Bridge, role: Role) -> str:
    """Why a process does not start in a role."""
    with pytest.raises(ConfigError) as refused:
        Installation(bridge.config, {}, bridge.process_environ(), role).check()
    return str(refused.value)


@pytest.mark.parametrize(
    "source", ['api_secret = "hush-hush"', 'api_secret_file = "{}/api-secret"', 'api_secret_env = "GA4"']
)
def test_a_collector_that_can_read_an_api_secret_does_not_start(tmp_path: Path, source: str) -> None:
    bridge = Bridge(tmp_path, {"MONGOOSEIM_BRIDGE_COOKIE": "monster", "GA4": "hush-hush"})
    key, _, value = source.format(tmp_path).partition(" = ")
    with bridge.config.open("a") as file:
        file.write(f'[[bridge.destinations]]\nmeasurement_id = "G-AAAA1"\n{key} = {value}\n')
    said = refusal(bridge, Role.COLLECT)
    assert f"bridge.destinations[0].{key}: this process, which only collects, can read an API secret" in said
    assert "hush-hush" not in said


@pytest.mark.parametrize("source", ["cookie_file", "cookie", "vm_args", "tls.keyfile", "home"])
def test_a_sender_that_can_read_what_opens_the_cluster_does_not_start(tmp_path: Path, source: str) -> None:
    file = tmp_path / ".erlang.cookie"
    file.write_text("monster")
    file.chmod(0o400)
    environ = {"HOME": str(tmp_path if source == "home" else tmp_path / "nowhere")}
    if source == "cookie":
        environ["MONGOOSEIM_BRIDGE_COOKIE"] = "monster"
    settings = f'{source} = "{file}"' if source not in {"cookie", "home"} else ""
    bridge = Bridge(tmp_path / "bridge", environ, ("http://127.0.0.1:1/mp/collect",), settings=settings)
    said = refusal(bridge, Role.DELIVER)
    assert "this process, which only delivers, can read what opens the cluster" in said
    assert "monster" not in said


@pytest.mark.parametrize("command", [COLLECT, DELIVER], ids=" ".join)
def test_a_process_that_can_read_both_secrets_ends_before_it_opens_anything(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    bridge = Bridge(tmp_path, {"MONGOOSEIM_BRIDGE_COOKIE": "monster"}, ("http://127.0.0.1:1/mp/collect",))
    result = bridge.run(*command)
    assert (result.code, "can read" in result.err) == (2, True)
    assert not bridge.state_dir.exists()
