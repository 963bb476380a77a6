"""What commands need is made from the settings, with every problem told at once and no secret in any of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trustme

from bridge.app import Installation
from bridge.config.access import access, default_name
from bridge.config.destinations import destinations
from bridge.config.errors import ConfigError
from bridge.config.load import Loaded, load
from bridge.delivery.ga4 import GLOBAL_ENDPOINT
from bridge.erlang.names import NodeName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EU = "https://region1.google-analytics.com/mp/collect"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home with a cookie, and nothing else."""
    cookie = tmp_path / ".erlang.cookie"
    cookie.write_text("monster")
    cookie.chmod(0o400)
    return {"HOME": str(tmp_path)}


def loaded(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **options: object) -> Loaded:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    return load(path, environ or {}, {f"bridge.{name}": value for name, value in options.items()})


def test_entries_cookie_and_own_name_are_found(tmp_path: Path, environ: dict[str, str]) -> None:
    found = access(loaded(tmp_path, '[bridge]\nnodes = ["mim@localhost", "mim2@localhost:9100"]\n'), environ)
    assert found.entries == (NodeName("mim", "localhost"), NodeName("mim2", "localhost", 9100))
    assert str(found.own_name) == "mongooseim_bridge@localhost"
    assert not found.named
    assert found.tls is None
    assert "monster" not in repr(found)


def test_vm_args_of_the_installation_give_node_port_and_cookie_unless_nodes_are_named(tmp_path: Path) -> None:
    vm_args = tmp_path / "vm.args"
    vm_args.write_text("-sname mim@localhost\n-setcookie monster\n-erl_epmd_port 4000\n")
    text = f'[bridge]\nvm_args = "{vm_args}"\n'
    found = access(loaded(tmp_path, text), {"HOME": str(tmp_path)})
    assert found.entries == (NodeName("mim", "localhost", 4000),)
    assert found.cookie.secret.reveal() == "monster"
    named = access(loaded(tmp_path, f'{text}nodes = ["other@localhost"]\n'), {})
    assert [str(entry) for entry in named.entries] == ["other@localhost"]


@pytest.mark.parametrize(
    ("entry", "own_long"),
    [("mim@localhost", False), ("mim@shorthost", False), ("mim@host.example.org", True), ("mim@10.0.0.1", True)],
)
def test_the_own_name_has_the_style_of_the_cluster(entry: str, *, own_long: bool) -> None:
    assert default_name(NodeName.parse(entry)).long is own_long


def test_all_problems_of_reaching_the_cluster_are_told_at_once(tmp_path: Path) -> None:
    text = '[bridge]\nnodes = ["mim", "a@short", "b@long.example"]\n[bridge.tls]\ncacertfile = "/nothing/ca.pem"\n'
    with pytest.raises(ConfigError) as caught:
        access(loaded(tmp_path, text), {"HOME": str(tmp_path)})
    told = [(problem.key, problem.where.rpartition(":")[2]) for problem in caught.value.problems]
    assert told == [
        ("bridge.cookie_file", ""),
        ("bridge.nodes", "2"),
        ("bridge.nodes", "2"),
        ("bridge.tls", "4"),
    ]


def test_a_name_of_the_cluster_is_refused_as_our_own(tmp_path: Path, environ: dict[str, str]) -> None:
    text = '[bridge]\nnodes = ["mim@localhost"]\nname = "mim@localhost"\n'
    with pytest.raises(ConfigError, match="a name of its own"):
        access(loaded(tmp_path, text), environ)


def test_destinations_from_every_place_that_a_secret_can_be_in(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-file\n")
    secret.chmod(0o400)
    text = f"""
[services.service_mongoose_system_metrics]
tracking_id.id = "G-AAAA1"
tracking_id.secret = "inline"
[[bridge.destinations]]
measurement_id = "G-AAAA2"
api_secret_file = "{secret}"
endpoint = "{EU}"
[[bridge.destinations]]
measurement_id = "G-AAAA3"
api_secret_env = "GA4"
"""
    found = destinations(loaded(tmp_path, text), {"GA4": "from-environment"})
    assert [(each.measurement_id, each.secret.reveal(), each.endpoint) for each in found] == [
        ("G-AAAA1", "inline", GLOBAL_ENDPOINT),
        ("G-AAAA2", "from-file", EU),
        ("G-AAAA3", "from-environment", GLOBAL_ENDPOINT),
    ]
    assert "inline" not in repr(found)


def test_no_destination_is_fine(tmp_path: Path) -> None:
    assert destinations(loaded(tmp_path, ""), {}) == ()


TRACKING = "[services.service_mongoose_system_metrics]\ntracking_id."
DESTINATION = '[[bridge.destinations]]\nmeasurement_id = "G-AAAA"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{TRACKING}id = "G-AAAA"', ("tracking_id", "no secret")),
        (f'{TRACKING}secret = "hush"', ("tracking_id.id", "is missing")),
        (f'{TRACKING}id = "G-AAAA"\ntracking_id.secret = "Secret"', ("tracking_id.secret", "placeholder")),
        (DESTINATION, ("destinations[0]", "no secret")),
        (f'{DESTINATION}api_secret = "hush"\napi_secret_env = "X"', ("destinations[0]", "has 2 secrets")),
        (f'{DESTINATION}api_secret_env = "NOT_SET"', ("destinations[0].api_secret_env", "NOT_SET is not set")),
        (f'{DESTINATION}api_secret_env = "TWO_LINES"', ("destinations[0].api_secret_env", "one line")),
        (f'{DESTINATION}api_secret_file = "/nothing"', ("destinations[0].api_secret_file", "cannot be read")),
        (f'{DESTINATION}api_secret = "G-1A2B3C4D"', ("destinations[0].api_secret", "measurement id")),
        (f'{DESTINATION}api_secret = "hush"\nendpoint = "ftp://x"', ("destinations[0]", "endpoint")),
        (f'{DESTINATION}api_secret = "hush"\nendpoint = "HTTP://relay/x"', ("[0]", "unencrypted", "allow_plain_http")),
        (f'{DESTINATION}api_secret = "hush"\n' * 2, ("destinations[1]", "configured twice")),
        (f'{DESTINATION}api_secret = "hush"'.replace("AAAA", "XXXX"), ("[0]", "G-XXXX is a placeholder")),
    ],
)
def test_a_destination_that_cannot_be_used_is_told_with_its_key(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        _ = Installation(path, {}, {"TWO_LINES": "hush\nhush\n"}).destinations
    (problem,) = caught.value.problems
    for word in words:
        assert word in str(problem)
    assert "hush" not in str(problem)


@pytest.mark.parametrize(
    "more",
    [
        'endpoint = "http://127.0.0.1:8080/mp/collect"',
        'endpoint = "http://[::1]:8080/mp/collect"',
        'endpoint = "http://localhost/mp/collect"',
        'endpoint = "http://relay/mp/collect"\nallow_plain_http = true',
    ],
)
def test_plain_http_is_fine_on_this_machine_and_where_it_is_allowed(tmp_path: Path, more: str) -> None:
    (found,) = destinations(loaded(tmp_path, f'{DESTINATION}api_secret_env = "GA4"\n{more}'), {"GA4": "hush\n"})
    assert found.secret.reveal() == "hush"


def test_tls_of_the_settings_beats_that_of_vm_dist_args(tmp_path: Path) -> None:
    (tmp_path / "vm.args").write_text("-sname mim@localhost\n-setcookie monster\n")
    (tmp_path / "vm.dist.args").write_text("-proto_dist inet_tls\n-ssl_dist_opt client_verify verify_none\n")
    text = f'[bridge]\nvm_args = "{tmp_path}/vm.args"\n'
    theirs = access(loaded(tmp_path, text), {}).tls
    assert theirs is not None
    assert not theirs.verify
    ours = access(loaded(tmp_path, f"{text}[bridge.tls]\ncheck_hostname = false\n"), {}).tls
    assert ours is not None
    assert ours.verify
    assert not ours.check_hostname


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('optfile = "/nothing/ssl.conf"', ("/nothing/ssl.conf", "cannot be read")),
        ('cacertfile = "/etc/hostname"', ("/etc/hostname", "PEM")),
    ],
)
def test_tls_files_that_cannot_be_used_are_told(
    tmp_path: Path, environ: dict[str, str], text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        access(loaded(tmp_path, f"[bridge.tls]\n{text}\n"), environ)
    for word in words:
        assert word in str(caught.value)


def test_renewed_tls_files_are_other_access(tmp_path: Path, environ: dict[str, str]) -> None:
    ca = trustme.CA()
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    text = f'[bridge.tls]\ncacertfile = "{path}"\n'
    old = access(loaded(tmp_path, text), environ)
    assert access(loaded(tmp_path, text), environ) == old
    trustme.CA().cert_pem.write_to_path(path)
    assert access(loaded(tmp_path, text), environ) != old


@pytest.fixture
def nobody(closed: Path) -> Iterator[Path]:
    """Become a user without a name, a home, and any right to the directory."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    os.setresuid(12345, 12345, 0)
    yield closed
    os.setresuid(0, 0, 0)


@pytest.mark.parametrize("variable", ["HOME", "MONGOOSEIM_BRIDGE_COOKIE_FILE", "MONGOOSEIM_BRIDGE_VM_ARGS"])
def test_what_only_another_user_can_read_is_one_problem_that_says_so(nobody: Path, variable: str) -> None:
    environ = {"HOME": str(nobody) if variable == "HOME" else "/", variable: str(nobody / "file")}
    with pytest.raises(ConfigError, match="Permission denied; run as a user who may read it"):
        access(load(None, environ, {}), environ)


def test_a_user_without_a_home_has_no_cookie_of_its_own(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    with pytest.raises(ConfigError, match="there is no cookie"):
        access(load(None, {}, {}), {})
    with pytest.raises(ConfigError, match=r"--config: cannot be read: Permission denied"):
        load(nobody / "bridge.toml", {}, {})


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A directory that only its owner enters."""
    tmp_path.chmod(0o700)
    return tmp_path


DATA_MANAGER = '[[bridge.destinations]]\nmeasurement_id = "G-ABCD1"\nkind = "data-manager"\n'


@pytest.mark.parametrize(
    "text",
    [
        DATA_MANAGER + 'property_id = "12345"\n[bridge.google]\nproperty_id = "67890"\n',
        DATA_MANAGER + '[bridge.google]\nproperty_id = "12345"\n',
    ],
)
def test_a_data_manager_destination_needs_a_property_and_no_secret(tmp_path: Path, text: str) -> None:
    (one,) = destinations(loaded(tmp_path, text), {})
    assert (one.property_id, one.secret, one.endpoint) == ("12345", None, "")


def test_what_a_data_manager_destination_has_no_use_for_is_refused(tmp_path: Path) -> None:
    text = f'{DATA_MANAGER}api_secret_env = "SECRET"\nendpoint = "{EU}"\n'
    with pytest.raises(ConfigError) as caught:
        destinations(loaded(tmp_path, text), {})
    assert [problem.what for problem in caught.value.problems] == [
        "has no use for api_secret_env and endpoint with kind data-manager",
        "has no property_id",
    ]
