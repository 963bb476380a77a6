"""Each way in which a cluster cannot be asked is recognised as itself, with real nodes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trustme

from erlang_stubs.beam import Beam, write_cookie
from erlang_stubs.cluster import StubCluster
from tests.doctor.conftest import CLUSTER, CONFIGURATION, examined
from tests.support.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.doctor.conftest import Examination
    from tests.support.emulator import RunningEmulator


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


def warned(found: Examination) -> list[str]:
    """The steps that warn where nothing fails, without the reporting that is off in all of these tests."""
    assert found.code == 0
    return [step for step in found.in_state("warning") if step != "reporting"]


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
        found.fails_at("cookie file", word, code=CONFIGURATION)
        assert found.of("host name")["state"] == "skipped"


def test_a_cookie_in_a_vm_args_that_others_may_read_is_a_warning(bridge: Bridge, default_cluster: StubCluster) -> None:
    vm_args = bridge.directory / "vm.args"
    cookie = default_cluster.cookie_file.read_text()
    vm_args.write_text(f"-sname {default_cluster.entry}\n-setcookie {cookie}\n")
    vm_args.chmod(0o664)
    bridge.environ = {"ERL_EPMD_PORT": str(default_cluster.epmd_port), "MONGOOSEIM_BRIDGE_VM_ARGS": str(vm_args)}
    found = examined(bridge)
    assert warned(found) == ["cookie file"]
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


def tls_section(certificates: Path, ca: str = "ca.pem", *, certificate: bool = True) -> str:
    own = f'certfile = "{certificates}/bridge.pem"\nkeyfile = "{certificates}/bridge.pem"\n' if certificate else ""
    return f'[bridge.tls]\ncacertfile = "{certificates}/{ca}"\n{own}'


def test_tls_on_both_sides_and_a_wrong_cookie(
    tls_cluster: StubCluster, certificates: Path, tmp_path: Path, wrong_cookie: str
) -> None:
    bridge = in_front_of(tls_cluster, tmp_path, tls_section(certificates))
    found = examined(bridge)
    assert found.code == 0
    assert found.of("TLS files")["state"] == found.of("TLS")["state"] == found.of("hidden")["state"] == "ok"
    found = examined(bridge, "--cookie-file", wrong_cookie)
    found.fails_at("cookie", "get_cookie()", code=CLUSTER)
    assert found.of("TLS")["state"] == "ok"


def test_a_node_with_tls_that_does_not_get_what_it_expects(
    tls_cluster: StubCluster, certificates: Path, tmp_path: Path
) -> None:
    for section, words in (
        ("", ("expects TLS", "[bridge.tls]")),
        (tls_section(certificates, ca="another-ca.pem"), ("cannot be trusted", "cacertfile")),
        (tls_section(certificates, certificate=False), ("certfile",)),
    ):
        examined(in_front_of(tls_cluster, tmp_path, section)).fails_at("TLS", *words, code=CLUSTER)


def test_a_node_without_tls_and_a_bridge_with_it(
    default_cluster: StubCluster, certificates: Path, tmp_path: Path
) -> None:
    found = examined(in_front_of(default_cluster, tmp_path, tls_section(certificates)))
    found.fails_at("TLS", "does not speak TLS", "remove [bridge.tls]", code=CLUSTER)


def test_tls_files_that_cannot_be_used(bridge: Bridge, certificates: Path) -> None:
    bridge.settings = tls_section(certificates, ca="node.conf")
    bridge.configure()
    found = examined(bridge)
    found.fails_at("TLS files", "PEM", code=CONFIGURATION)
    assert found.of("cookie file")["state"] == "ok"


# names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--name", "me@localhost", "--node", "mongooseim@host.example"), ("short and long names do not mix", "-name")),
        (("--node", "mongooseim"), ("name@host",)),
    ],
)
def test_what_is_no_name_and_an_own_name_of_the_other_style(
    bridge: Bridge, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    found = examined(bridge, *arguments)
    found.fails_at("node names", *words, code=CONFIGURATION)
    assert found.of("cookie file")["state"] == "ok", "all of the configuration is told at once"
    assert found.of("host name")["state"] == "skipped"


# the way to the node


@pytest.mark.parametrize(
    ("node", "step", "words"),
    [
        ("nobody@localhost", "EPMD", ("nobody@localhost", "mongooseim1, mongooseim2")),
        ("mongooseim@no-such-host", "host name", ("no-such-host", "/etc/hosts")),
        ("mongooseim1@localhost:1", "distribution port", ("port 1", "inet_dist_listen_min")),
        ("mongooseim1@127.0.0.1", "handshake", ("calls itself mongooseim1@localhost", "short and long names")),
    ],
)
def test_a_node_that_is_not_where_it_should_be(bridge: Bridge, node: str, step: str, words: tuple[str, ...]) -> None:
    found = examined(bridge, "--node", node)
    found.fails_at(step, *words, code=CLUSTER)
    assert found.of("EPMD")["state"] == {"EPMD": "failure", "handshake": "ok"}.get(step, "skipped")
    assert found.of("hidden")["state"] == "skipped"


def test_a_node_with_a_long_name_called_by_a_short_one(default_cluster: StubCluster, bridge: Bridge) -> None:
    with Beam("long@127.0.0.1", default_cluster.cookie_file.parent, default_cluster.epmd_port, long=True):
        found = examined(bridge, "--node", "long@localhost")
    found.fails_at("handshake", "calls itself long@127.0.0.1", "short and long names", code=CLUSTER)


def test_a_node_that_does_not_allow_us_and_then_is_gone(
    bridge: Bridge, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster(size=1)
    bridge.environ = cluster.environ
    cluster.nodes[0].eval("net_kernel:allow(['somebody@localhost'])")
    examined(bridge).fails_at("handshake", "does not allow", "net_kernel:allow/1", code=CLUSTER)
    cluster.nodes[0].kill()
    examined(bridge).fails_at("EPMD", "no node at all", code=CLUSTER)


def test_no_epmd_and_something_else_where_it_should_be(bridge: Bridge, default_cluster: StubCluster) -> None:
    examined(bridge, ERL_EPMD_PORT="1").fails_at("EPMD", "no EPMD answers", "port 1 ", "ERL_EPMD_PORT", code=CLUSTER)
    port = default_cluster.nodes[0].eval('element(2, erl_epmd:port_please("mongooseim1", {127,0,0,1}))')
    examined(bridge, ERL_EPMD_PORT=port).fails_at("EPMD", "ERL_EPMD_PORT", code=CLUSTER)


def test_a_port_that_never_says_a_word_and_one_where_tls_is_due(bridge: Bridge, certificates: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        node = f"mongooseim1@localhost:{mute.getsockname()[1]}"
        found = examined(bridge, "--node", node)
        found.fails_at("handshake", "did not answer in time", "firewall", code=CLUSTER)
        assert found.of("distribution port")["state"] == "ok"
        bridge.settings = tls_section(certificates)
        bridge.configure()
        examined(bridge, "--node", node).fails_at("TLS", "did not answer in time", code=CLUSTER)


# what the nodes answer


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[StubCluster]:
    """Three nodes, of which each test restores what it changes."""
    with StubCluster(size=3) as cluster:
        cluster.nodes[0].eval("persistent_term:put(config, stub:get(config))")
        yield cluster


AS_BEFORE = "stub:set(config, persistent_term:get(config))"


def test_mongooseim_stopped(tmp_path: Path, own_cluster: StubCluster) -> None:
    own_cluster.nodes[0].eval("stub:stop_mongooseim()")
    found = examined(in_front_of(own_cluster, tmp_path))
    own_cluster.nodes[0].eval("stub:start_mongooseim()")
    found.fails_at("MongooseIM", "not running", "mongooseimctl restart", code=CLUSTER)
    assert found.of("remote call")["state"] == "ok"


def test_releases_that_are_supported_and_others(tmp_path: Path, own_cluster: StubCluster) -> None:
    node = own_cluster.nodes[0]
    for release in ("6.1.0", "6.8.3", "6.9.0", "7.0.0", "6.0.0", "of-our-own"):
        node.eval(f'stub:set(version, "{release}")')
        found = examined(in_front_of(own_cluster, tmp_path))
        if release in {"6.1.0", "6.8.3"}:
            assert warned(found) == []
        else:
            shown = "custom" if release == "of-our-own" else release
            assert warned(found) == ["release"]
            assert found.of("release")["found"].startswith(f"{shown} is not")
            assert "6.1.0 to 6.8.0" in found.of("release")["found"]
    node.eval('stub:set(version, "6.8.0")')


@pytest.mark.parametrize(
    ("change", "restore", "step", "words"),
    [
        (
            "stub:unset({config, listen})",
            AS_BEFORE,
            "facts",
            ("http_handlers",),
        ),
        (
            "stub:set({config, services}, #{service_mongoose_system_metrics => "
            "#{report => true, tracking_id => #{id => <<71>>}}})",
            AS_BEFORE,
            "own reporter",
            ("twice", "report = false"),
        ),
        (
            "persistent_term:put(user, whereis(user)), unregister(user)",
            "register(user, persistent_term:get(user))",
            "remote call",
            ("starting or stopping",),
        ),
    ],
)
def test_what_a_node_that_answers_should_not_be_like(
    tmp_path: Path, own_cluster: StubCluster, change: str, restore: str, step: str, words: tuple[str, ...]
) -> None:
    own_cluster.nodes[0].eval(change)
    found = examined(in_front_of(own_cluster, tmp_path))
    own_cluster.nodes[0].eval(restore)
    assert warned(found) == [step]
    for word in words:
        assert word in str(found.of(step))


def test_a_member_that_cannot_be_reached_and_one_whose_mongooseim_is_stopped(
    tmp_path: Path, own_cluster: StubCluster
) -> None:
    _, paused, stopped = own_cluster.nodes
    paused.pause()
    stopped.eval("stub:stop_mongooseim()")
    bridge = in_front_of(own_cluster, tmp_path, "collect_timeout = 1500")
    found = examined(bridge)
    entries = [argument for node in own_cluster.nodes for argument in ("--node", node.name)]
    named = examined(bridge, *entries)
    paused.resume()
    stopped.eval("stub:start_mongooseim()")
    assert warned(found) == ["members", "members"]
    missing = {each["found"].partition("@")[0].rpartition(" ")[2]: each for each in found.all_of("members")}
    assert "in time" in missing["mongooseim2"]["found"]
    assert "not running" in missing["mongooseim3"]["found"]
    assert all(each["advice"] for each in missing.values())
    assert sorted(named.in_state("failure")) == ["MongooseIM", "handshake"]
    assert named.of("members")["state"] == "ok", "entry nodes are told about once"


def test_a_persistent_cluster_id_is_no_objection(
    tmp_path: Path, own_cluster: StubCluster, emulator: RunningEmulator
) -> None:
    node = own_cluster.nodes[0]
    node.eval('persistent_term:put(id, stub:get(cluster_id)), stub:set(cluster_id, {ok, <<"3b8f2f0e-6a57-4a5e">>})')
    found = examined(Bridge(tmp_path / "bridge", own_cluster.environ, (emulator.url,)))
    node.eval("stub:set(cluster_id, persistent_term:get(id))")
    assert found.code == 0
    assert found.of("validator")["state"] == "ok"
