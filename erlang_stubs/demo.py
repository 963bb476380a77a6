"""The main job before your eyes: `make demo`, or `python -m erlang_stubs.demo [EMPTY_DIRECTORY]`.

Starts two stub nodes and a local GA4, runs the installed `mongooseim-bridge` against them as a person would, and checks
what arrived. Before that it sets the property up, and then it shows what the property counted. What the bridge writes
stays in the directory, `.cache/demo` unless given, until the next demo.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.cli.table import table
from erlang_stubs.beam import StubError
from erlang_stubs.build import HERE
from erlang_stubs.cluster import StubCluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAM: Final = Path(sys.executable).with_name("mongooseim-bridge")
COMMAND_DEADLINE: Final = 30.0
MEASUREMENT_ID: Final = "G-DEMO0001"
TRAFFIC: Final = {"xmppMessageSent": 7, "xmppMessageReceived": 5, "xmppPresenceSent": 2}
"""What the users of the stub cluster do between the two reports."""

_KEPT_VARIABLES: Final = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "TMPDIR")
"""Nothing else of the environment, so that no proxy, DO_NOT_TRACK or setting of yours changes the demo."""

_CONFIG: Final = """\
[services.service_mongoose_system_metrics]
  report = true

[bridge]
  nodes = [{node}]
  epmd_port = {epmd_port}
  cookie_file = {cookie_file}
  state_dir = {state_dir}
  log_dir = {log_dir}
  log_level = "warning"

[bridge.google]
  credentials_file = {credentials_file}
  endpoint = {google}
  property_id = "123456789"

[[bridge.destinations]]
  measurement_id = {measurement_id}
  api_secret_file = {secret_file}
  endpoint = {endpoint}
"""

Record = dict[str, Any]


class DemoFailed(Exception):
    """The demo did not go as it must; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Run the demo; the exit code says whether all went well, stderr why not."""
    directory = Path(arguments[0]) if arguments else HERE.parent / ".cache" / "demo"
    try:
        if not arguments:
            shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
        demo(directory)
    except (DemoFailed, StubError, OSError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def demo(directory: Path) -> None:
    """Preview, set the property up, report, traffic, report; then compare what was written with what arrived.

    Raises:
        DemoFailed: a command failed, or what arrived is not what was reported.
        StubError: the nodes did not start.
    """
    record = directory / "arrived.jsonl"
    with StubCluster() as cluster, _emulator(record, _secret(directory)) as endpoint:
        config = _write_config(directory, cluster, endpoint)
        print(f"MongooseIM nodes (stubs): {', '.join(node.name for node in cluster.nodes)}\nGA4 (local): {endpoint}")
        _run(config, "preview")
        _run(config, "ga4", "setup", "--yes")
        _run(config, "report")
        first = _arrived(record)
        for stanza_type, count in TRAFFIC.items():
            cluster.nodes[0].eval(f"stub:advance({stanza_type}, {count})")
        print(f"\nTraffic: {', '.join(f'{count} {stanza_type}' for stanza_type, count in TRAFFIC.items())}")
        _run(config, "report")
        second = _arrived(record)[len(first) :]
        _run(config, "ga4", "verify")
        _run(config, "ga4", "report")
    log = directory / "log" / "system_metrics_report.json"
    check(json.loads(log.read_text(encoding="utf-8")), first, second)
    _show(first, second)
    print(f"\nThe JSON log of the last report: {_shown(log)}")


@contextlib.contextmanager
def _emulator(record: Path, secret: Path) -> Iterator[str]:
    command = [str(PROGRAM), "ga4-emulator", "--port", "0", "--quiet", "--record", str(record)]
    command += ["--measurement-id", MEASUREMENT_ID, "--api-secret-file", str(secret)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environ()) as process:
        try:
            assert process.stdout
            ready, _, _ = select.select([process.stdout], [], [], COMMAND_DEADLINE)
            line = process.stdout.readline() if ready else ""
            if not line.startswith("listening on "):
                raise DemoFailed(f"ga4-emulator did not start: {line.strip() or 'it says nothing'}")
            yield line.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            try:
                process.wait(COMMAND_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()


def _secret(directory: Path) -> Path:
    return _private(directory / "api_secret", "demo-secret\n")


def _credentials(directory: Path) -> Path:
    """The key of a service account in the form in which Google gives it; the local GA4 takes any."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = {
        "type": "service_account",
        "client_email": "demo@demo.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return _private(directory / "google.json", json.dumps(key))


def _private(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    return file


def _write_config(directory: Path, cluster: StubCluster, endpoint: str) -> Path:
    values = {
        "node": cluster.entry,
        "epmd_port": cluster.epmd_port,
        "cookie_file": str(cluster.cookie_file),
        "state_dir": str((directory / "state").absolute()),
        "log_dir": str((directory / "log").absolute()),
        "secret_file": str((directory / "api_secret").absolute()),
        "credentials_file": str(_credentials(directory).absolute()),
        "google": endpoint.removesuffix("/mp/collect"),
        "measurement_id": MEASUREMENT_ID,
        "endpoint": endpoint,
    }
    for name in ("state", "log"):
        (directory / name).mkdir()
    config = directory / "bridge.toml"
    config.write_text(_CONFIG.format_map({name: json.dumps(value) for name, value in values.items()}), encoding="utf-8")
    return config


def _run(config: Path, *command: str) -> None:
    words = " ".join(command)
    print(f"\n$ mongooseim-bridge --config {_shown(config)} {words}", flush=True)
    try:
        code = subprocess.run(
            [PROGRAM, "--config", config, *command],
            env=_environ(),
            stderr=subprocess.STDOUT,
            timeout=COMMAND_DEADLINE,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise DemoFailed(f"{words} took longer than {COMMAND_DEADLINE:g} s") from error
    if code != 0:
        raise DemoFailed(f"{words} ended with exit code {code}")


def _environ() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}


def _shown(path: Path) -> str:
    return os.path.relpath(path)


def _arrived(record: Path) -> list[Record]:
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()] if record.exists() else []


def check(log: Sequence[Record], first: Sequence[Record], second: Sequence[Record]) -> None:
    """See whether what arrived at the second report is what was written, with the increments of the traffic.

    Raises:
        DemoFailed: it is not.
    """
    refused = [event for event in (*first, *second) if not event["accepted"]]
    if refused:
        raise DemoFailed(f"GA4 would drop {len(refused)} events, the first because: {'; '.join(refused[0]['reasons'])}")
    arrived = Counter(_key(event["name"], event["params"], log) for event in second)
    written = Counter(_key(event["name"], event["params"], log) for event in log)
    if arrived != written:
        raise DemoFailed(
            f"the JSON log has {len(log)} events, {len(second)} arrived; "
            f"different: {[*(written - arrived), *(arrived - written)][:3]}"
        )
    increments = {stanza_type: params["increment"] for stanza_type, params in _stanzas(second).items()}
    expected = {stanza_type: TRAFFIC.get(stanza_type, 0) for stanza_type in increments}
    if increments != expected:
        raise DemoFailed(f"increments are {increments} and should be {expected}")


def _key(name: str, params: Record, log: Sequence[Record]) -> str:
    """An event without the params that delivery adds (session_id and the like), as text that can be compared."""
    known = {param for event in log for param in event["params"]}
    return json.dumps([name, {param: value for param, value in sorted(params.items()) if param in known}])


def _stanzas(events: Sequence[Record]) -> dict[str, Record]:
    return {event["params"]["stanza_type"]: event["params"] for event in events if event["name"] == "xmpp_stanza_count"}


def _show(first: Sequence[Record], second: Sequence[Record]) -> None:
    print("\nAccepted by GA4, events by name:\n")
    counts = [Counter(event["name"] for event in events) for events in (first, second)]
    rows = [(name, *(count[name] for count in counts)) for name in dict.fromkeys((*counts[0], *counts[1]))]
    print(table(("event", "first report", "second report"), [*rows, ("all", len(first), len(second))]))
    before, after = _stanzas(first), _stanzas(second)
    print("Stanzas, totals of the cluster and increments since the report before:\n")
    stanza_rows = [
        (kind, before[kind]["total"], before[kind]["increment"], after[kind]["total"], after[kind]["increment"])
        for kind in after
    ]
    print(table(("stanza_type", "total", "increment", "total now", "increment now"), stanza_rows), end="")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
