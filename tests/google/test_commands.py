"""The whole circle with the installed command: set up, report, find, and the property's own report."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import signal
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from jsonschema import Draft202012Validator

from bridge.app import Installation
from bridge.cli.main import cli
from bridge.cli.schema import documents
from bridge.conditions import Conditions
from bridge.delivery.ga4 import Ga4Destination
from bridge.document import json_schema
from bridge.google.definitions import needed
from bridge.secret import Secret
from bridge.service.verification import Verification
from bridge.state.state import State
from tests.delivery.support import Hands, keep, report, send_all
from tests.google.support import EMAIL, ConnectProxy, ServiceAccount
from tests.support.bridge import API_SECRET, Bridge, Result
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

PROPERTY = "123456789"
NAMES = [one.parameter for one in needed()]


@contextlib.contextmanager
def property_of(directory: Path, *options: str, secret: str = API_SECRET) -> Iterator[RunningEmulator]:
    """A property that counts what G-AAAA1 sends with one good secret."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "secret").write_text(secret)
    known = ("--measurement-id", "G-AAAA1", "--api-secret-file", str(directory / "secret"))
    with running_emulator(directory / "record.jsonl", *known, *options) as emulator:
        yield emulator


def bridge_to(
    directory: Path, emulator: RunningEmulator, account: ServiceAccount, environ: dict[str, str] | None = None
) -> Bridge:
    """A bridge that reports to the emulator and asks it in place of Google."""
    extra = {
        "MONGOOSEIM_BRIDGE_GOOGLE_CREDENTIALS_FILE": str(account.file),
        "MONGOOSEIM_BRIDGE_GOOGLE_ENDPOINT": emulator.base_url,
    }
    return Bridge(directory, environ or {}, (emulator.url,), extra=extra)


def checked(command: str, result: Result) -> Any:
    """What a command printed as JSON, which is as its schema says."""
    document = result.json()
    Draft202012Validator(json_schema(dict(documents(cli))[command])).validate(document)
    return document


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, account: ServiceAccount
) -> Iterator[tuple[Bridge, RunningEmulator]]:
    """For what changes nothing at the property, by somebody who cannot read the API secret."""
    directory = tmp_path_factory.mktemp("fresh")
    with property_of(directory) as emulator:
        bridge = bridge_to(directory / "bridge", emulator, account)
        (bridge.directory / "api-secret").unlink()
        yield bridge, emulator


@pytest.fixture
def fresh(shared: tuple[Bridge, RunningEmulator]) -> Bridge:
    return shared[0]


def test_a_property_is_set_up_and_shows_modules_over_tls_and_through_a_proxy(
    tmp_path: Path, default_cluster: StubCluster, account: ServiceAccount
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = authority.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    pem, proxy = str(tmp_path / "server.pem"), ConnectProxy()
    with (
        property_of(tmp_path / "property", "--tls-cert", pem, "--tls-key", pem) as emulator,
        contextlib.closing(proxy),
    ):
        bridge = bridge_to(tmp_path / "bridge", emulator, account, dict(default_cluster.environ))
        bridge.extra |= {
            "MONGOOSEIM_BRIDGE_CA_FILE": str(tmp_path / "ca.pem"),
            "MONGOOSEIM_BRIDGE_PROXY": f"http://127.0.0.1:{proxy.port}",
        }
        early = bridge.run("ga4", "report")
        assert early.code == 7
        assert "has no custom definitions" in early.err
        assert "run: mongooseim-bridge ga4 setup" in early.err

        asked = bridge.run("ga4", "setup")
        assert asked.code == 1
        assert f"missing: {len(NAMES)}" in asked.out
        assert "give --yes" in asked.err
        made = bridge.run("ga4", "setup", "--yes")
        assert made.code == 0, made.err
        assert made.err.count("created in 123456789") == len(NAMES)
        again = bridge.run("ga4", "setup", "--yes")
        assert (again.code, again.err) == (0, "")
        assert "missing: nothing" in again.out

        assert bridge.run("report").code == 0
        shown = bridge.run("ga4", "report", "--format", "json")
        assert shown.code == 0, shown.err
        document = checked("ga4 report", shown)
        counted = {(row["module"], row["backend"]): row["events"] for row in document["rows"]}
        modules = [event["params"] for event in bridge.json_log if event["name"] == "module_with_opt"]
        backends = [(params["module"], params["backend"]) for params in modules if "backend" in params]
        assert {pair: counted[pair] for pair in backends} == {pair: backends.count(pair) for pair in backends}
        assert sum(counted.values()) == len(modules)
        verified = bridge.run("ga4", "verify")
        assert (verified.code, verified.err) == (0, "")
        assert re.search(rf"last 30 minutes +{len(bridge.json_log)} +{len(bridge.json_log)}  processed", verified.out)
        assert "the last 48 hours" in document["caveats"][0]["caveat"]
    assert {whom.rpartition(":")[0] for whom in proxy.asked} == {"127.0.0.1"}


def test_setup_shows_as_json_what_is_missing_and_asks_nothing(fresh: Bridge) -> None:
    shown = fresh.run("ga4", "setup", "--format", "json", "--property", PROPERTY)
    assert shown.code == 1
    (found,) = checked("ga4 setup", shown)["properties"]
    assert [one["parameter"] for one in found["definitions"]] == NAMES
    assert not any(one["present"] for one in found["definitions"])
    assert (found["property"], found["free_slots"]) == (PROPERTY, {"dimension": 50, "metric": 50})
    assert "two months" in fresh.run("ga4", "setup").out


def test_without_credentials_the_definitions_are_shown_to_register_by_hand(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path, {"CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true"})
    shown = bridge.run("ga4", "setup")
    assert shown.code == 0, shown.err
    assert all(f"\n{name} " in shown.out for name in NAMES)
    assert "there are no Google credentials" in shown.err
    (found,) = checked("ga4 setup", bridge.run("ga4", "setup", "--format", "json"))["properties"]
    assert [one["parameter"] for one in found["definitions"]] == NAMES


def test_find_says_where_a_measurement_id_belongs(fresh: Bridge) -> None:
    (found,) = checked("ga4 find", fresh.run("ga4", "find", "--format", "json"))["places"]
    assert (found["measurement_id"], found["property"]) == ("G-AAAA1", PROPERTY)
    lost = fresh.run("ga4", "find", "G-NEIGHBOUR", "G-NOBODYS")
    assert lost.code == 1
    assert "G-NEIGHBOUR     100000001" in lost.out
    assert "has a web stream G-NOBODYS" in lost.err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("admin:disabled", "switch it on at https://"),
        ("admin:403", f"add {EMAIL} as Viewer"),
        ("admin:404", "is bridge.google.property_id right"),
        ("admin:429", "the quota of the Google Analytics Admin API is used up"),
        ("admin:503", "answered 503"),
        ("admin:401", "refuses the access token"),
        ("token:403", "Google refuses the credentials"),
        ("admin:drop", "closed the connection"),
    ],
)
def test_what_google_refuses_is_one_line_and_exit_code_7(
    shared: tuple[Bridge, RunningEmulator], account: ServiceAccount, fault: str, said: str
) -> None:
    bridge, emulator = shared
    emulator.fail(fault)
    shown = bridge.run("ga4", "setup", "--property", PROPERTY)
    emulator.fail("")
    assert shown.code == 7
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1
    assert json.loads(account.file.read_text())["private_key"].splitlines()[1] not in shown.err + shown.out


def test_a_token_that_ends_in_the_middle_is_renewed_and_an_empty_property_says_so(
    tmp_path: Path, account: ServiceAccount
) -> None:
    with property_of(tmp_path, "--fail", "admin:401*1") as emulator:
        bridge = bridge_to(tmp_path / "bridge", emulator, account)
        made = bridge.run("ga4", "setup", "--yes", "--property", PROPERTY)
        assert made.code == 0, made.err
        shown = bridge.run("ga4", "report", "--format", "csv")
    assert list(csv.reader(io.StringIO(shown.out))) == [["property", "module", "backend", "events"]]
    assert "nothing is processed yet" in shown.err


async def deliver(bridge: Bridge, emulator: RunningEmulator, age: timedelta, secret: str, events: int = 3) -> None:
    """A report of some time ago, as the service would have made and delivered it then."""
    to, then = Ga4Destination("G-AAAA1", Secret(secret), emulator.url), time.time_ns() // 1000 - age // MICROSECOND
    with State.open(bridge.state_dir, clock=Hands(then).clock) as state:
        keep(state, report(events, then), [to])
        (done,) = await send_all(state, [to])
        assert done.delivered == events, "GA4 takes everything"


MICROSECOND = timedelta(microseconds=1)
AGES = {"just now": timedelta(0), "live": timedelta(minutes=6), "today": timedelta(hours=3), "old": timedelta(hours=50)}


@pytest.mark.parametrize(
    ("delivered", "code", "words"),
    [
        ({"live": API_SECRET, "today": API_SECRET, "old": API_SECRET}, 0, ["processed", "processed"]),
        ({"live": "wrong"}, 1, ["nothing"]),
        ({"live": API_SECRET, "old": "wrong"}, 1, ["processed", "nothing"]),
        ({"old": API_SECRET, "today": "wrong"}, 0, ["nothing to tell", "cannot be told yet"]),
        ({"just now": "wrong"}, 0, ["cannot be told yet"]),
        ({"live": API_SECRET, "just now": "wrong"}, 0, ["cannot be told yet"]),
    ],
)
async def test_verify_finds_what_ga4_takes_and_drops(
    account: ServiceAccount, tmp_path: Path, delivered: dict[str, str], code: int, words: list[str]
) -> None:
    with property_of(tmp_path) as emulator:
        bridge = bridge_to(tmp_path / "bridge", emulator, account)
        for age, secret in delivered.items():
            await deliver(bridge, emulator, AGES[age], secret)
        done = bridge.run("ga4", "verify", "--format", "json")
    assert done.code == code, done.err
    verdicts = checked("ga4 verify", done)["verdicts"]
    assert [one["word"] for one in verdicts] == words
    for one in verdicts:
        if one["word"] == "nothing":
            assert one["missing"] == {"module_with_opt": 3}
            assert one["why"].startswith("in this order: a wrong or revoked API secret")
            assert "make a new secret" in one["remedy"]


async def test_the_service_asks_the_property_and_everybody_shows_what_it_says(
    account: ServiceAccount, tmp_path: Path
) -> None:
    with property_of(tmp_path) as emulator:
        bridge = bridge_to(tmp_path / "bridge", emulator, account)
        await deliver(bridge, emulator, timedelta(minutes=20), "wrong")
        await deliver(bridge, emulator, timedelta(minutes=6), API_SECRET)
        await deliver(bridge, emulator, timedelta(minutes=1), API_SECRET)
        # A cookie that somebody has made in the real home is one that `deliver` refuses to be able to read.
        environ = bridge.process_environ(MONGOOSEIM_BRIDGE_GOOGLE_VERIFY="true", HOME=str(tmp_path))
        said: dict[str, Any] = {}
        with subprocess.Popen(bridge.command("deliver"), env=environ, stderr=subprocess.PIPE, text=True) as service:
            deadline = time.monotonic() + 20
            while [said.get("processed"), said.get("failed")] != [3, 3]:
                assert time.monotonic() < deadline, said
                (shown,) = bridge.run("status", "--format", "json").json()["destinations"]
                said = shown["processing"] or {}
            service.send_signal(signal.SIGTERM)
            _, log = service.communicate(timeout=20)
        assert said["unknown"] == 0
        assert "a wrong or revoked API secret" in said["reason"]
        assert log.count("events_not_processed") == 1, "each report is asked about once"
        reports = bridge.run("history", "--format", "json").json()["reports"]
        told = [report["deliveries"][0]["processing"] for report in reports]
        assert [one and (one["processed"], one["failed"]) for one in told] == [None, (3, 0), (0, 3)]
        assert "3 delivered, 3 not processed" in bridge.run("history").out
        assert "3 delivered events were not processed" in bridge.run("doctor").out


async def test_a_property_that_cannot_be_asked_is_not_asked_again_about_the_same_report(
    account: ServiceAccount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with property_of(tmp_path, "--fail", "data:disabled*1") as emulator:
        bridge = bridge_to(tmp_path / "bridge", emulator, account)
        await deliver(bridge, emulator, timedelta(minutes=6), API_SECRET)
        installation = Installation(bridge.config, {}, bridge.extra)
        async with installation.sender() as sender:
            with installation.state() as state:
                verification = Verification(installation, sender, state, Conditions())
                await verification.look()
                await verification.look()
                (one,) = state.status().destinations
    assert one.processing
    assert (one.processing.processed, one.processing.failed, one.processing.unknown) == (0, 0, 3)
    assert "switch it on at https://" in str(one.processing.reason)
    assert caplog.text.count("what=verification_failing") == 1


def imports(stderr: str) -> set[str]:
    """The packages that a program has imported, from what Python says of it."""
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", stderr, re.MULTILINE))


@pytest.mark.parametrize("command", ["preview", "report"])
def test_reporting_imports_nothing_of_google(bridge: Bridge, command: str) -> None:
    shown = bridge.start(command, PYTHONPROFILEIMPORTTIME="1")
    assert shown.code == 0, shown.err
    found = imports(shown.err)
    assert "bridge.app" in found
    assert not [name for name in found if name.startswith(("google", "cryptography", "bridge.google"))]


def test_the_service_imports_nothing_of_google(bridge: Bridge, emulator: RunningEmulator) -> None:
    bridge.service = "report = true\ninitial_report = 0"
    bridge.configure()
    environ = bridge.process_environ(PYTHONPROFILEIMPORTTIME="1")
    with subprocess.Popen(bridge.command("run"), env=environ, stderr=subprocess.PIPE, text=True) as service:
        try:
            emulator.wait_for(bool, 20)
        finally:
            service.send_signal(signal.SIGTERM)
        _, shown = service.communicate(timeout=20)
    assert service.returncode == 0, shown
    found = imports(shown)
    assert "bridge.service.service" in found
    assert not [name for name in found if name.startswith(("google", "cryptography", "bridge.google"))]
