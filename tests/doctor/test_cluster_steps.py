"""Each way in which a cluster cannot be asked is recognised as itself, with real nodes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trustme

from erlang_stubs.beam import Beam, write_cookie
from erlang_stubs.cluster import StubCluster
from tests.doctor.conftest import examined
from tests.support.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLUSTER, CONFIGURATION = 3, 2


@pytest.fixture
def bridge(tmp_path: Path, default_cluster: StubCluster) -> Bridge:
    return in_front_of(default_cluster, tmp_path)


def in_front_of(cluster: StubCluster, tmp_path: Path, settings: str = "") -> Bridge:
    """A bridge for a cluster, with reporting off: that is a warning, and no endpoint is looked at."""
    one = Bridge(tmp_path / "bridge", cluster.environ, settings=settings)
    one.endpoints = ("http://127.0.0.1:1/mp/collect",)
    one.service = "report = false"
    one.configure()
    return one


def warned(found: list[str]) -> list[str]:
    """The steps that warn, without the reporting that is off in all of these tests."""
    return [step for step in found if step != "reporting"]


@pytest.fixture
def wrong_cookie(tmp_path: Path) -> str:
    return str(write_cookie(tmp_path / "other", "not-the-c00kie"))


def test_a_wrong_cookie(bridge: Bridge, wrong_cookie: str) -> None:
    found = examined(bridge, "--cookie-file", wrong_cookie)
    found.fails_at("cookie", "get_cookie()", code=CLUSTER)
    assert found.of("handshake")["state"] == "ok"


def test_a_cookie_that_others_may_read_and_one_that_is_missing(bridge: Bridge, tmp_path: Path) -> None:
    open_to_all = tmp_path / "cookie"
    open_to_all.write_text("whatever")
    open_to_all.chmod(0o644)
    for path, word in ((open_to_all, "chmod 0400"), (tmp_path / "none", "cannot be read")):
        found = examined(bridge, "--cookie-file", str(path))
        assert found.code == CONFIGURATION
        assert found.in_state("failure") == ["cookie file"]
        assert word in str(found.of("cookie file"))
        assert found.of("host name")["state"] == "skipped"


def test_a_cookie_in_a_vm_args_that_others_may_read_is_a_warning(bridge: Bridge, default_cluster: StubCluster) -> None:
    vm_args = bridge.directory / "vm.args"
    cookie = default_cluster.cookie_file.read_text()
    vm_args.write_text(f"-sname {default_cluster.entry}\n-setcookie {cookie}\n")
    vm_args.chmod(0o664)
    bridge.environ = {"ERL_EPMD_PORT": str(default_cluster.epmd_port), "MONGOOSEIM_BRIDGE_VM_ARGS": str(vm_args)}
    found = examined(bridge)
    assert found.code == 0
    assert warned(found.in_state("warning")) == ["cookie file"]
    assert "0664" in found.of("cookie file")["found"]
    assert cookie not in str(found.results)


# TLS against plain, and certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "another-ca.pem"))
    for name in ("node", "bridge"):
        ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    files = f'{{certfile, "{folder}/node.pem"}}, {{keyfile, "{folder}/node.pem"}}, {{cacertfile, "{folder}/ca.pem"}}'
    (folder / "node.conf").write_text(
        f"[{{server, [{files}, {{verify, verify_peer}}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{files}]}}].\n"
    )
    return folder


@pytest.fixture(scope="module")
def tls_cluster(certificates: Path) -> Iterator[StubCluster]:
    options = ("-proto_dist", "inet_tls", "-ssl_dist_optfile", str(certificates / "node.conf"))
    with StubCluster(size=1, args=options) as cluster:
        yield cluster


def tls_section(certificates: Path, ca: str = "ca.pem", certificate: str = "bridge.pem") -> str:
    own = (
        f'\ncertfile = "{certificates}/{certificate}"\nkeyfile = "{certificates}/{certificate}"' if certificate else ""
    )
    return f'[bridge.tls]\ncacertfile = "{certificates}/{ca}"{own}\n'


def test_tls_on_both_sides(tls_cluster: StubCluster, certificates: Path, tmp_path: Path) -> None:
    found = examined(in_front_of(tls_cluster, tmp_path, tls_section(certificates)))
    assert found.code == 0
    assert found.of("TLS files")["state"] == found.of("TLS")["state"] == found.of("hidden")["state"] == "ok"


def test_a_node_with_tls_and_a_bridge_without(tls_cluster: StubCluster, tmp_path: Path) -> None:
    examined(in_front_of(tls_cluster, tmp_path)).fails_at("TLS", "expects TLS", "[bridge.tls]", code=CLUSTER)


def test_a_node_without_tls_and_a_bridge_with_it(
    default_cluster: StubCluster, certificates: Path, tmp_path: Path
) -> None:
    found = examined(in_front_of(default_cluster, tmp_path, tls_section(certificates)))
    found.fails_at("TLS", "does not speak TLS", "remove [bridge.tls]", code=CLUSTER)


def test_a_node_whose_ca_is_not_trusted(tls_cluster: StubCluster, certificates: Path, tmp_path: Path) -> None:
    found = examined(in_front_of(tls_cluster, tmp_path, tls_section(certificates, ca="another-ca.pem")))
    found.fails_at("TLS", "cannot be trusted", "cacertfile", code=CLUSTER)


def test_a_node_that_wants_a_certificate_of_ours(tls_cluster: StubCluster, certificates: Path, tmp_path: Path) -> None:
    found = examined(in_front_of(tls_cluster, tmp_path, tls_section(certificates, certificate="")))
    found.fails_at("TLS", "certfile", code=CLUSTER)


def test_a_wrong_cookie_over_tls(
    tls_cluster: StubCluster, certificates: Path, tmp_path: Path, wrong_cookie: str
) -> None:
    found = examined(in_front_of(tls_cluster, tmp_path, tls_section(certificates)), "--cookie-file", wrong_cookie)
    found.fails_at("cookie", "get_cookie()", code=CLUSTER)
    assert found.of("TLS")["state"] == "ok"


def test_tls_files_that_cannot_be_used(bridge: Bridge, certificates: Path) -> None:
    bridge.settings = tls_section(certificates, ca="node.conf")
    bridge.configure()
    found = examined(bridge)
    found.fails_at("TLS files", "PEM", code=CONFIGURATION)
    assert found.of("cookie file")["state"] == "ok"


# names


def test_an_own_name_of_the_other_style(bridge: Bridge) -> None:
    found = examined(bridge, "--name", "me@localhost", "--node", "mongooseim@host.example")
    found.fails_at("node names", "short and long names do not mix", "-name", code=CONFIGURATION)


def test_a_node_with_a_short_name_called_by_a_long_one(bridge: Bridge) -> None:
    found = examined(bridge, "--node", "mongooseim1@127.0.0.1")
    found.fails_at("handshake", "calls itself mongooseim1@localhost", "short and long names", code=CLUSTER)


def test_a_node_with_a_long_name_called_by_a_short_one(default_cluster: StubCluster, bridge: Bridge) -> None:
    home = default_cluster.cookie_file.parent
    with Beam("long@127.0.0.1", home, default_cluster.epmd_port, long=True):
        found = examined(bridge, "--node", "long@localhost")
        found.fails_at("handshake", "calls itself long@127.0.0.1", "short and long names", code=CLUSTER)


def test_what_is_no_name(bridge: Bridge) -> None:
    found = examined(bridge, "--node", "mongooseim")
    found.fails_at("node names", "name@host", code=CONFIGURATION)
    assert found.of("cookie file")["state"] == "ok", "all of the configuration is told at once"
    assert found.of("host name")["state"] == "skipped"


# the way to the node


def test_a_node_that_epmd_does_not_know_and_who_is_there_instead(bridge: Bridge) -> None:
    found = examined(bridge, "--node", "nobody@localhost")
    result = found.fails_at("EPMD", "mongooseim1, mongooseim2", code=CLUSTER)
    assert "nobody@localhost" in result["found"]


def test_an_epmd_that_knows_nobody(bridge: Bridge, start_cluster: Callable[..., StubCluster]) -> None:
    cluster = start_cluster(size=1)
    cluster.nodes[0].kill()
    found = examined(bridge, ERL_EPMD_PORT=str(cluster.epmd_port))
    found.fails_at("EPMD", "no node at all", code=CLUSTER)


def test_no_epmd(bridge: Bridge) -> None:
    examined(bridge, ERL_EPMD_PORT="1").fails_at("EPMD", "no EPMD answers", "port 1 ", "ERL_EPMD_PORT", code=CLUSTER)


def test_something_else_where_epmd_should_be(bridge: Bridge, default_cluster: StubCluster) -> None:
    port = default_cluster.nodes[0].eval('element(2, erl_epmd:port_please("mongooseim1", {127,0,0,1}))')
    examined(bridge, ERL_EPMD_PORT=port).fails_at("EPMD", "ERL_EPMD_PORT", code=CLUSTER)


def test_a_host_that_does_not_resolve(bridge: Bridge) -> None:
    found = examined(bridge, "--node", "mongooseim@no-such-host")
    found.fails_at("host name", "no-such-host", "/etc/hosts", code=CLUSTER)


def test_a_port_that_refuses(bridge: Bridge) -> None:
    found = examined(bridge, "--node", "mongooseim1@localhost:1")
    found.fails_at("distribution port", "port 1", "inet_dist_listen_min", code=CLUSTER)
    assert found.of("EPMD")["state"] == "skipped"


def test_a_port_that_never_says_a_word(bridge: Bridge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        found = examined(bridge, "--node", f"mongooseim1@localhost:{mute.getsockname()[1]}")
    found.fails_at("handshake", "did not answer in time", "firewall", code=CLUSTER)
    assert found.of("distribution port")["state"] == "ok"


def test_a_port_that_never_says_a_word_where_tls_is_due(bridge: Bridge, certificates: Path) -> None:
    bridge.settings = tls_section(certificates)
    bridge.configure()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        found = examined(bridge, "--node", f"mongooseim1@localhost:{mute.getsockname()[1]}")
    found.fails_at("TLS", "did not answer in time", code=CLUSTER)


def test_a_node_that_does_not_allow_us(bridge: Bridge, start_cluster: Callable[..., StubCluster]) -> None:
    cluster = start_cluster(size=1)
    cluster.nodes[0].eval("net_kernel:allow(['somebody@localhost'])")
    bridge.environ = cluster.environ
    examined(bridge).fails_at("handshake", "does not allow", "net_kernel:allow/1", code=CLUSTER)


# what the nodes answer


def test_mongooseim_stopped(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    found = examined(in_front_of(start_cluster("app_stopped", 1), tmp_path))
    found.fails_at("MongooseIM", "not running", "mongooseimctl restart", code=CLUSTER)
    assert found.of("remote call")["state"] == "ok"


def test_a_release_that_is_not_supported(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    cluster = start_cluster(size=1)
    for release, shown in (("6.9.0", "6.9.0"), ("7.0.0", "7.0.0"), ("6.0.0", "6.0.0"), ("of-our-own", "custom")):
        cluster.nodes[0].eval(f'stub:set(version, "{release}")')
        found = examined(in_front_of(cluster, tmp_path))
        assert found.code == 0
        assert warned(found.in_state("warning")) == ["release"]
        assert found.of("release")["found"].startswith(f"{shown} is not")
        assert "6.1.0 to 6.8.0" in found.of("release")["found"]


@pytest.mark.parametrize("scenario", ["6.1", "6.5"])
def test_older_releases_that_are_supported(
    tmp_path: Path, start_cluster: Callable[..., StubCluster], scenario: str
) -> None:
    found = examined(in_front_of(start_cluster(scenario, 1), tmp_path))
    assert found.code == 0
    assert warned(found.in_state("warning")) == []


def test_facts_that_cannot_be_asked(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    cluster = start_cluster(size=1)
    cluster.nodes[0].eval("stub:unset({config, listen})")
    found = examined(in_front_of(cluster, tmp_path))
    assert found.code == 0
    assert warned(found.in_state("warning")) == ["facts"]
    assert "http_handlers" in found.of("facts")["found"]


def test_the_clusters_own_reporter_is_on(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    found = examined(in_front_of(start_cluster("own_reporter_on", 1), tmp_path))
    assert found.code == 0
    assert warned(found.in_state("warning")) == ["own reporter"]
    assert "twice" in found.of("own reporter")["found"]
    assert "report = false" in found.of("own reporter")["advice"]


def test_a_node_without_a_place_to_print_to(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    cluster = start_cluster(size=1)
    cluster.nodes[0].eval("unregister(user)")
    found = examined(in_front_of(cluster, tmp_path))
    assert warned(found.in_state("warning")) == ["remote call"]


def test_a_member_that_cannot_be_reached_and_one_whose_mongooseim_is_stopped(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster(size=3)
    cluster.nodes[1].pause()
    cluster.nodes[2].eval("stub:stop_mongooseim()")
    found = examined(in_front_of(cluster, tmp_path, "collect_timeout = 1500"))
    assert found.code == 0
    assert warned(found.in_state("warning")) == ["members", "members"]
    missing = {each["found"].partition("@")[0].rpartition(" ")[2]: each for each in found.all_of("members")}
    assert "in time" in missing["mongooseim2"]["found"]
    assert "not running" in missing["mongooseim3"]["found"]
    assert all(each["advice"] for each in missing.values())
    entries = [argument for node in cluster.nodes for argument in ("--node", node.name)]
    named = examined(in_front_of(cluster, tmp_path, "collect_timeout = 1500"), *entries)
    assert sorted(named.in_state("failure")) == ["MongooseIM", "handshake"]
    assert named.of("members")["state"] == "ok", "entry nodes are told about once"
    cluster.nodes[1].resume()
