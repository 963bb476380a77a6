"""The distribution over TLS with real nodes: certificates of a CA made for the tests, and each way it can go wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme

from bridge.config.tls import from_optfile, from_words
from bridge.erlang import Node, TlsOptions, dial
from bridge.erlang.errors import (
    BadCookie,
    CertificateError,
    PhaseTimeout,
    TlsExpected,
    TlsNotExpected,
)
from bridge.erlang.tls import TlsSetupError
from tests.erlang.conftest import LONG, refused
from tests.erlang.servers import once, serving, silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from erlang_stubs.beam import Beam
    from tests.erlang.conftest import Net


@dataclass
class Keys:
    """Files of one party: its certificate with key, and the CA it trusts."""

    cert: Path
    key: Path
    ca: Path

    @property
    def options(self) -> TlsOptions:
        return TlsOptions(cacertfile=self.ca, certfile=self.cert, keyfile=self.key)


def issue(folder: Path, ca: trustme.CA, name: str, *hosts: str) -> Keys:
    cert = ca.issue_cert(*hosts)
    keys = Keys(folder / f"{name}.crt", folder / f"{name}.key", folder / f"{name}.ca")
    cert.private_key_pem.write_to_path(keys.key)
    keys.cert.write_bytes(b"".join(blob.bytes() for blob in cert.cert_chain_pems))
    ca.cert_pem.write_to_path(keys.ca)
    return keys


@pytest.fixture(autouse=True)
def _has_ssl(request: pytest.FixtureRequest) -> None:
    if "net25" in request.fixturenames and "error" in request.getfixturevalue("beam25").eval("code:lib_dir(ssl)"):
        pytest.skip("this Erlang has no ssl; Debian's is in erlang-ssl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ours(folder: Path, ca: trustme.CA) -> Keys:
    return issue(folder, ca, "bridge", "localhost")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Keys:
    """Of another CA."""
    return issue(folder, trustme.CA(), "stranger", "localhost")


def optfile(folder: Path, name: str, keys: Keys, server: str = "", client: str = "") -> Path:
    files = (
        f'{{certfile, "{keys.cert}"}}, {{keyfile, "{keys.key}"}}, {{cacertfile, "{keys.ca}"}}, {{verify, verify_peer}}'
    )
    path = folder / f"{name}.conf"
    path.write_text(
        f"%% as in the User's Guide\n"
        f"[{{server, [{files}, {{fail_if_no_peer_cert, true}}{server}]}},\n {{client, [{files}{client}]}}].\n"
    )
    return path


@pytest.fixture(scope="module")
def tls_file(folder: Path, ca: trustme.CA) -> Path:
    return optfile(folder, "node", issue(folder, ca, "node", "localhost"))


@pytest.fixture(scope="module")
def secure(net25: Net, tls_file: Path) -> Iterator[Beam]:
    with net25.beam("secure@localhost", "-proto_dist", "inet_tls", "-ssl_dist_optfile", str(tls_file)) as beam:
        yield beam


async def test_calls_over_tls_1_3(net25, secure, ours):
    async with net25.node(tls=ours.options) as node:
        assert await node.call(secure.name, "erlang", "node", [], timeout=LONG) == secure.name
        calls = [node.call(secure.name, "erlang", "element", [1, (n,)], timeout=LONG) for n in range(300)]
        assert await asyncio.gather(*calls) == list(range(300))
        blob = bytes(range(256)) * 20_000
        assert await node.call(secure.name, "binary", "copy", [blob], timeout=LONG) == blob


async def test_calls_over_tls_1_2(net25, folder, ca, ours):
    path = optfile(folder, "older", issue(folder, ca, "older", "localhost"), server=", {versions, ['tlsv1.2']}")
    with net25.beam("older@localhost", "-proto_dist", "inet_tls", "-ssl_dist_optfile", str(path)) as beam:
        async with net25.node(tls=ours.options) as node:
            assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


async def test_a_node_that_we_called_pings_us_over_tls(net25, secure, ours):
    async with net25.node("tlsguest@localhost", tls=ours.options) as node:
        await node.connect(secure.name, timeout=LONG)
        assert await asyncio.to_thread(secure.eval, "net_adm:ping('tlsguest@localhost')") == "pong"
        assert node.connected() == [secure.name]
        assert await node.call(secure.name, "erlang", "node", [], timeout=LONG) == secure.name


async def failing(node: Node, beam: Beam, kind: type[Exception]) -> str:
    return str(await refused(node, beam.name, kind))


async def test_a_wrong_cookie_over_tls_is_a_wrong_cookie(net25, secure, ours):
    await failing(net25.node(tls=ours.options, cookie="wrong"), secure, BadCookie)


async def test_a_node_that_wants_tls_says_so_to_who_does_not_speak_it(net25, secure):
    assert "-proto_dist inet_tls" in await failing(net25.node(), secure, TlsExpected)


async def test_a_node_without_tls_is_told_apart_from_a_mute_one(net25, beam25, ours, monkeypatch):
    monkeypatch.setattr(dial, "PHASE_TIMEOUT", 1.0)
    assert "remove" in await failing(net25.node(tls=ours.options), beam25, TlsNotExpected)

    async with serving(silent) as port, net25.node(tls=ours.options) as node:
        with pytest.raises(PhaseTimeout, match="TLS at port"):
            await node.call(f"mute@localhost:{port}", "erlang", "node", [], timeout=LONG)


async def test_something_that_is_neither_tls_nor_a_node_is_told(net25, ours):
    async with serving(once(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        await refused(net25.node(tls=ours.options), f"http@localhost:{port}", TlsNotExpected)


async def test_a_certificate_of_another_ca_is_not_trusted(net25, secure, ours, stranger):
    await failing(net25.node(tls=ours.options._replace(cacertfile=stranger.ca)), secure, CertificateError)


@pytest.mark.parametrize("which", ["none", "stranger"])
async def test_a_node_that_does_not_trust_our_certificate_is_told(net25, secure, ours, stranger, which):
    """In TLS 1.3 the refusal comes when our side of the TLS handshake is over."""
    options = TlsOptions(cacertfile=ours.ca) if which == "none" else stranger.options._replace(cacertfile=ours.ca)
    message = await failing(net25.node(tls=options), secure, CertificateError)
    assert "certfile" in message


async def test_a_certificate_for_another_host_is_not_trusted_unless_the_name_is_not_checked(net25, folder, ca, ours):
    path = optfile(folder, "elsewhere", issue(folder, ca, "elsewhere", "elsewhere.example.org"))
    with net25.beam("elsewhere@localhost", "-proto_dist", "inet_tls", "-ssl_dist_optfile", str(path)) as beam:
        message = await failing(net25.node(tls=ours.options), beam, CertificateError)
        assert "localhost" in message
        for options in (ours.options._replace(check_hostname=False), ours.options._replace(verify=False)):
            async with net25.node(tls=options) as node:
                assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


def changed(ours: Keys, **files: Path) -> TlsOptions:
    return ours.options._replace(**files)


async def test_files_that_cannot_be_used_are_told_before_connecting(net25, folder, ours, stranger):
    nonsense = folder / "nonsense.pem"
    nonsense.write_text("no certificate")
    for options in (
        changed(ours, cacertfile=folder / "missing.pem"),
        changed(ours, cacertfile=nonsense),
        changed(ours, certfile=nonsense),
        changed(ours, keyfile=stranger.key),
    ):
        async with net25.node(tls=options) as node:
            with pytest.raises(TlsSetupError, match=r"/"):
                await node.call("secure@localhost", "erlang", "node", [], timeout=LONG)


# Options as the node has them.


async def test_the_options_of_a_nodes_own_files_reach_it(net25, secure, tls_file):
    for found in (from_optfile(tls_file), from_words(["-proto_dist", "inet_tls", "-ssl_dist_optfile", str(tls_file)])):
        async with net25.node(tls=found) as node:
            assert await node.call(secure.name, "erlang", "node", [], timeout=LONG) == secure.name
