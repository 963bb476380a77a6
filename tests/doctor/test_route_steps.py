"""Each way in which a destination cannot be reached is recognised as itself, with real servers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from bridge.emulator.server import Emulator
from tests.doctor.conftest import examined
from tests.support.bridge import API_SECRET, Bridge
from tests.support.emulator import running_emulator
from tests.support.recorder import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster
    from tests.support.emulator import RunningEmulator

DELIVERY = 1
PAST = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


@contextlib.contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that gives each connection's first request the next of these answers, the last one for ever."""
    left = list(answers)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = server.accept()
                    with near:
                        near.settimeout(5)
                        head = b""
                        while b"\r\n\r\n" not in head and (data := near.recv(65536)):
                            head += data
                        near.sendall(left.pop(0) if len(left) > 1 else left[0])
                        near.shutdown(socket.SHUT_WR)
                        while near.recv(65536):
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster) -> Callable[[str], Bridge]:
    """`bridge("http://…")` reports there."""

    def make(endpoint: str, settings: str = "") -> Bridge:
        return Bridge(tmp_path / "bridge", default_cluster.environ, (endpoint,), settings=settings)

    return make


def test_an_endpoint_that_refuses(bridge: Callable[[str], Bridge]) -> None:
    found = examined(bridge("http://127.0.0.1:1/mp/collect"))
    found.fails_at("connection", "cannot be connected to", "proxy", code=DELIVERY)
    assert found.of("endpoint host")["state"] == "ok"
    assert found.of("validator")["state"] == "skipped"


def test_an_endpoint_whose_host_does_not_resolve(bridge: Callable[[str], Bridge]) -> None:
    examined(bridge("https://no-such-host.invalid/mp/collect")).fails_at(
        "endpoint host", "no-such-host.invalid", "DNS", code=DELIVERY
    )


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


@contextlib.contextmanager
def https_emulator(tmp_path: Path, certificate: trustme.LeafCert) -> Iterator[RunningEmulator]:
    pem = tmp_path / "endpoint.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with running_emulator(tmp_path / "record.jsonl", "--tls-cert", str(pem), "--tls-key", str(pem)) as running:
        yield running


def test_an_endpoint_of_an_unknown_ca_and_with_its_ca_file(
    bridge: Callable[..., Bridge], authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    ca, path = authority
    with https_emulator(tmp_path, ca.issue_cert("127.0.0.1")) as endpoint:
        found = examined(bridge(endpoint.url))
        found.fails_at("endpoint TLS", "unknown CA", "bridge.ca_file", code=DELIVERY)
        assert found.of("connection")["state"] == "ok"
        trusting = examined(bridge(endpoint.url, f'ca_file = "{path}"'))
        assert trusting.code == 0
        assert trusting.of("endpoint TLS")["state"] == trusting.of("validator")["state"] == "ok"


def test_an_expired_certificate_of_the_endpoint(
    bridge: Callable[..., Bridge], authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    ca, path = authority
    with https_emulator(tmp_path, ca.issue_cert("127.0.0.1", not_before=PAST, not_after=PAST)) as endpoint:
        found = examined(bridge(endpoint.url, f'ca_file = "{path}"'))
    found.fails_at("endpoint TLS", "expired", "clock", code=DELIVERY)


def test_a_certificate_of_another_host(
    bridge: Callable[..., Bridge], authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    ca, path = authority
    with https_emulator(tmp_path, ca.issue_cert("relay.example")) as endpoint:
        found = examined(bridge(endpoint.url, f'ca_file = "{path}"'))
    found.fails_at("endpoint TLS", "another", code=DELIVERY)


def test_an_https_endpoint_that_speaks_http_only(bridge: Callable[..., Bridge], emulator: RunningEmulator) -> None:
    found = examined(bridge(emulator.url.replace("http:", "https:")))
    found.fails_at("endpoint TLS", "does not speak TLS", "https", code=DELIVERY)


def test_a_ca_file_that_is_none(bridge: Callable[..., Bridge], emulator: RunningEmulator, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    found = examined(bridge(emulator.url, f'ca_file = "{tmp_path}/ca.pem"'))
    found.fails_at("destinations", "bridge.ca_file", code=2)


def test_http_over_a_network_is_a_warning(bridge: Callable[..., Bridge], emulator: RunningEmulator) -> None:
    beyond = bridge(emulator.url.replace("127.0.0.1", "0.0.0.0"))
    examined(beyond).fails_at("destinations", "unencrypted", "allow_plain_http", code=2)
    beyond.config.write_text(f"{beyond.config.read_text()}allow_plain_http = true\n")
    examined(beyond).warns_at("endpoint TLS", "unencrypted", "https")


# proxies


def test_a_proxy_that_refuses(bridge: Callable[..., Bridge]) -> None:
    with answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        found = examined(bridge("https://127.0.0.1:1/mp/collect", f'proxy = "http://user:passw0rd@127.0.0.1:{port}"'))
    found.fails_at("proxy", "403 Forbidden", "password and rules", code=DELIVERY)
    assert "passw0rd" not in str(found.results)
    assert "proxy" in found.of("endpoint host")["found"]


def test_a_proxy_that_wants_a_password_for_http_too(bridge: Callable[..., Bridge]) -> None:
    with answering(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as port:
        found = examined(bridge("http://127.0.0.1:1/mp/collect", f'proxy = "http://127.0.0.1:{port}"'))
    found.fails_at("proxy", "407", code=DELIVERY)


def test_a_proxy_that_is_down(bridge: Callable[..., Bridge]) -> None:
    found = examined(bridge("https://127.0.0.1:2/mp/collect"), HTTPS_PROXY="http://127.0.0.1:1")
    found.fails_at("connection", "through proxy 127.0.0.1:1", code=DELIVERY)


def test_a_proxy_whose_host_does_not_resolve(bridge: Callable[..., Bridge]) -> None:
    found = examined(bridge("https://127.0.0.1:2/mp/collect"), HTTPS_PROXY="http://no-such-proxy.invalid:3128")
    found.fails_at("endpoint host", "through proxy no-such-proxy.invalid", code=DELIVERY)


def test_a_proxy_that_is_no_address_is_not_quoted(bridge: Callable[..., Bridge], emulator: RunningEmulator) -> None:
    found = examined(bridge(emulator.url, 'proxy = "passw0rd"'))
    found.fails_at("destinations", "bridge.proxy", code=2)
    assert "passw0rd" not in str(found.results)


# what answers


def test_an_endpoint_that_closes_without_an_answer(bridge: Callable[..., Bridge]) -> None:
    with answering(b"") as port:
        found = examined(bridge(f"http://127.0.0.1:{port}/mp/collect"))
    found.fails_at("answer", "closed the connection", "firewall", code=DELIVERY)


def test_an_endpoint_that_is_no_http(bridge: Callable[..., Bridge]) -> None:
    with answering(b"220 mail.example ESMTP\r\n\r\n") as port:
        found = examined(bridge(f"http://127.0.0.1:{port}/mp/collect"))
    found.fails_at("answer", "not HTTP", code=DELIVERY)


def test_a_clock_that_is_wrong(bridge: Callable[..., Bridge]) -> None:
    dated = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with answering(dated) as port:
        found = examined(bridge(f"http://127.0.0.1:{port}/relay"))
    found.warns_at("clock", "ahead of", "NTP")


def test_a_relay_without_a_validator_is_skipped_with_the_reason(
    bridge: Callable[..., Bridge], emulator: RunningEmulator
) -> None:
    with recording(int(emulator.base_url.rpartition(":")[2])) as recorder:
        found = examined(bridge(f"http://127.0.0.1:{recorder.port}/relay"))
    assert found.code == 0
    assert recorder.sent.startswith(b"HEAD / HTTP/1.1\r\n")
    assert recorder.sent.count(b"HTTP/1.1\r\n") == 1, "nothing else was asked"
    assert API_SECRET.encode() not in recorder.sent
    assert found.of("validator")["state"] == "skipped"
    assert "no validator" in found.of("validator")["found"]
    with answering(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as port:
        found = examined(bridge(f"http://127.0.0.1:{port}/mp/collect"))
    assert found.code == 0
    assert "no validation" in found.of("validator")["found"]


# the validator's verdict


@contextlib.contextmanager
def emulator_ahead(seconds: float) -> Iterator[str]:
    """The emulator with a clock that is ahead of ours; gives its URL."""
    started: queue.SimpleQueue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with Emulator(clock=lambda: time.time() + seconds) as emulator:
            started.put((emulator.url, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    url, loop, stop = started.get(timeout=10)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


def test_events_that_the_emulators_validator_would_not_take(bridge: Callable[..., Bridge]) -> None:
    """Seen from five days ahead all of them are too old."""
    with emulator_ahead(5 * 86_400) as url:
        found = examined(bridge(url))
    found.fails_at("validator", "GA4 would drop events", "timestamp", "validate", code=DELIVERY)


def test_a_persistent_cluster_id_is_no_objection(
    tmp_path: Path, start_cluster: Callable[..., StubCluster], emulator: RunningEmulator
) -> None:
    cluster = start_cluster("persistent_id", 1)
    found = examined(Bridge(tmp_path / "bridge", cluster.environ, (emulator.url,)))
    assert found.code == 0
    assert found.of("validator")["state"] == "ok"
    assert emulator.events() == []
