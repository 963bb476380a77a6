"""The Data Manager API as a destination of the installed command: over TLS, with a token that ends and a bad event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import trustme

from tests.google.support import service_account
from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster


def test_the_good_events_arrive_whatever_ends_or_is_bad_in_the_middle(
    tmp_path: Path, default_cluster: StubCluster
) -> None:
    key, ca, certificate = service_account(tmp_path / "key.json"), trustme.CA(), tmp_path / "server.pem"
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    tls = ("--tls-cert", str(certificate), "--tls-key", str(certificate))
    # The token ends, and the event that comes first is bad; both happen at the first attempt that gets so far.
    with running_emulator(
        tmp_path / "record.jsonl", *tls, "--fail", "data-manager:401*1", "--fail", "data-manager:400*1"
    ) as emulator:
        settings = (
            f'ca_file = "{tmp_path}/ca.pem"\n'
            f'[bridge.google]\ncredentials_file = "{key.file}"\nendpoint = "{emulator.base_url}"\n'
            '[[bridge.destinations]]\nkind = "data-manager"\n'
            'measurement_id = "G-EMULATOR"\nproperty_id = "123456789"\n'
        )
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, settings=settings)
        done = bridge.run("--log-level", "debug", "report", "--format", "json")
        arrived = emulator.accepted()
        judged = bridge.run("validate")
        assert len(emulator.accepted()) == len(arrived)
    written = bridge.json_log
    assert done.code == 1, done.err
    (row,) = done.json()["destinations"]
    assert (row["delivered"], row["queued"], row["rejected"]) == (len(written) - 1, 0, 1)
    assert [event["name"] for event in arrived] == [event["name"] for event in written[1:]]
    whole = bridge.run("history", "show", "1").out
    assert f"{len(written) - 1} delivered, 1 rejected, {len(written) - 1} not known yet" in whole
    assert "events 0 to 0 not taken" in whole
    assert f"event {written[0]['name']!r}: event_name INVALID_ARGUMENT Refused on purpose." in whole
    assert "of what was delivered" in bridge.run("status").out
    assert (judged.code, "no objection" in judged.out) == (0, True), judged.out + judged.err
    private = json.loads(key.file.read_text())["private_key"].splitlines()[1]
    for secret in (private, "emulated-1", "emulated-2"):
        assert secret not in done.out + done.err + whole
