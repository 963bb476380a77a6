"""No password of the cluster crosses the connection, and no secret of ours comes out anywhere."""

from __future__ import annotations

import signal
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from erlang_stubs.cluster import COOKIE, CUSTOM_MARKER, SECRET_MARKER
from tests.service.support import running
from tests.support.bridge import API_SECRET, Bridge
from tests.support.emulator import running_emulator
from tests.support.recorder import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from erlang_stubs.cluster import StubCluster


def distribution_port(cluster: StubCluster) -> int:
    """Where EPMD says that the first node listens."""
    name = cluster.entry.partition("@")[0]
    names = subprocess.run(
        ["epmd", "-port", str(cluster.epmd_port), "-names"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    (line,) = (line for line in names.splitlines() if line.startswith(f"name {name} "))
    return int(line.split()[-1])


@pytest.mark.parametrize("scenario", ["default", "hostile", "6.1", "app_stopped"])
def test_no_password_of_the_configuration_crosses_the_connection(
    tmp_path: Path, start_cluster: Callable[..., StubCluster], scenario: str
) -> None:
    cluster = start_cluster(scenario, 1)
    held = cluster.nodes[0].eval("lists:flatten(io_lib:format(\"~0p\", [persistent_term:get()]))")  # fmt: skip
    assert scenario == "app_stopped" or SECRET_MARKER in _printed(held)
    with recording(distribution_port(cluster)) as recorder:
        bridge = Bridge(tmp_path / "bridge", {**cluster.environ, "MONGOOSEIM_BRIDGE_NODES": ""})
        results = [
            bridge.run("--node", f"{cluster.entry}:{recorder.port}", command)
            for command in ("report", "preview", "nodes")
        ]
    assert {result.code for result in results} == {3 if scenario == "app_stopped" else 0}
    assert len(recorder.received) > 500, "the answers went through the recorder"
    assert b"uptime" in recorder.received
    assert SECRET_MARKER.encode() not in recorder.received
    assert SECRET_MARKER not in "".join(result.out + result.err for result in results)
    for result in results[:2]:
        assert CUSTOM_MARKER not in result.out


def _printed(term: str) -> str:
    """A string as `~0tp` prints it, which may be a list of numbers when it holds something unprintable."""
    if term.startswith("["):
        return "".join(chr(int(number)) for number in term.strip("[]").split(",") if int(number) < 0x110000)
    return term


SENDING = (("report",), ("status",), ("history", "show", "1"), ("validate",), ("doctor",))
COMMANDS = (
    *SENDING,
    ("config", "check"),
    ("config", "show"),
    ("nodes",),
    ("preview",),
    ("preview", "--format", "ga4"),
    ("report", "--format", "json"),
    ("history",),
    ("compare",),
)
PROXY_PASSWORD = "the-password-of-the-pr0xy"
FAULTS = ("400", "429:retry-after=1", "drop", "unknown CA", "refused", "hang")


@contextmanager
def endpoint(fault: str, directory: Path) -> Iterator[str]:
    """The URL of an endpoint with a fault, or with none."""
    record = directory / f"{fault}.jsonl"
    if fault == "refused":
        yield "http://127.0.0.1:1/mp/collect"
    elif fault == "unknown CA":
        certificate = directory / "server.pem"
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        with running_emulator(record, "--tls-cert", str(certificate), "--tls-key", str(certificate)) as emulator:
            yield emulator.url
    else:
        with running_emulator(record, *(("--fail", fault) if fault else ())) as emulator:
            yield emulator.url


def said_by(bridge: Bridge, form: str, *commands: tuple[str, ...]) -> str:
    """All that commands print where everything is logged."""
    said = ""
    for arguments in commands:
        result = bridge.run(
            "--log-level", "debug", "--log-format", form, *arguments, MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="500"
        )
        assert "Traceback" not in result.err
        said += result.out + result.err
    return said


def holds_no_secret(bridge: Bridge, directory: Path, said: str) -> None:
    """Neither what was said nor any file but those where the operator put them has a secret."""
    own = {bridge.config, bridge.directory / "api-secret"}
    kept = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file() and path not in own)
    for secret in (COOKIE, API_SECRET, PROXY_PASSWORD):
        assert secret not in said
        assert secret.encode() not in kept


def test_no_command_says_cookie_or_secret(tmp_path: Path, default_cluster: StubCluster) -> None:
    with endpoint("", tmp_path) as url:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (url,))
        said = said_by(bridge, "text", *COMMANDS) + said_by(bridge, "json", *SENDING) + _service(bridge)
    assert "events delivered" in said
    holds_no_secret(bridge, tmp_path, said)


def test_no_command_says_cookie_or_secret_under_any_fault(tmp_path: Path, default_cluster: StubCluster) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(endpoint(fault, tmp_path)) for fault in FAULTS]
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, tuple(urls))
        said = said_by(bridge, "text", *SENDING[:3], ("doctor",)) + _service(bridge)
        bridge.endpoints = tuple(urls[:-1])  # the validator that hangs would be waited for longest of all
        bridge.configure()
        said += said_by(bridge, "text", ("validate",))
    for fault in ("400", "429", "closed the connection", "not trusted", "refused", "answer in time"):
        assert fault in " ".join(said.split()), fault
    holds_no_secret(bridge, tmp_path, said)


def test_no_command_says_the_password_of_the_proxy(tmp_path: Path, default_cluster: StubCluster) -> None:
    proxy = f'proxy = "http://operator:{PROXY_PASSWORD}@127.0.0.1:1"'
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ, ("http://127.0.0.1:2/mp/collect",), settings=proxy)
    said = said_by(bridge, "text", *SENDING, ("config", "show")) + _service(bridge)
    assert "proxy" in said
    holds_no_secret(bridge, tmp_path, said)


def _service(bridge: Bridge) -> str:
    """What a service says that reports once and is told to stop."""
    with running(bridge, "--log-level", "debug", check=False, MONGOOSEIM_BRIDGE_INITIAL_REPORT="1") as service:
        service.wait_for("report_collected")
        service.send(signal.SIGTERM)
        service.send(signal.SIGINT)  # a second one cuts short what cannot be delivered anyway
        service.wait_for("service_stopped")
        service.ended()
        return service.log_file.read_text()


def test_cookie_and_api_secret_are_not_in_the_process_list(tmp_path: Path, default_cluster: StubCluster) -> None:
    with running_emulator(tmp_path / "record.jsonl", "--fail", "hang") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,))
        with subprocess.Popen(
            bridge.command("report"), env=bridge.process_environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                # The log line says that it is past collecting, so that cookie and secret are both in its memory.
                assert process.stderr
                assert b"report_collected" in process.stderr.readline()
                listed = (
                    Path(f"/proc/{process.pid}/cmdline").read_bytes()
                    + Path(f"/proc/{process.pid}/environ").read_bytes()
                )
            finally:
                process.kill()
        assert COOKIE.encode() not in listed
        assert API_SECRET.encode() not in listed
