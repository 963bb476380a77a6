"""TLS options as a node has them: words of a `vm.dist.args`, and an optfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config.errors import ConfigError
from bridge.config.tls import from_optfile, from_words
from bridge.erlang import TlsOptions
from bridge.secret import Secret


def test_words_of_the_command_line():
    words = ["-proto_dist", "inet_tls", "-ssl_dist_opt", "server_certfile", "/s.pem", "client_password", "hush"]
    words += ["-ssl_dist_opt", "client_certfile", "/c.pem", "client_keyfile", "/c.key", "client_cacertfile", "/ca.pem"]
    words += ["client_verify", "verify_peer", "-name", "a@b", "server_verify", "verify_peer"]
    client = from_words(words)
    assert client == TlsOptions(Path("/ca.pem"), Path("/c.pem"), Path("/c.key"), password=Secret("hush"))
    assert "hush" not in repr(client)


def test_without_options_nothing_is_verified_as_in_otp_25():
    assert from_words(["-name", "a@b"]) == TlsOptions(verify=False)
    assert from_words(["-ssl_dist_opt", "client_cacertfile", "/ca.pem"]).verify


def test_an_optfile_counts_in_place_of_the_words(tmp_path):
    path = tmp_path / "opts"
    path.write_text("""
        %% comment. with dots
        [{client, [{cacertfile, <<"/ca \\"x\\".pem">>}, {verify, verify_none}, {verify, verify_peer}, {depth, 2},
                   {server_name_indication, disable}, {versions, ['tlsv1.2', 'tlsv1.3']}, {x, 1.5e3}, inet6, {a}]}].
    """)
    words = ["-ssl_dist_opt", "client_certfile", "/c.pem", "server_certfile", "/s.pem", "-ssl_dist_optfile", str(path)]
    assert from_words(words) == TlsOptions(cacertfile=Path('/ca "x".pem'), verify=False, check_hostname=False)


def test_the_first_of_several_certificates_of_an_optfile_is_ours(tmp_path):
    path = tmp_path / "opts"
    pairs = '#{certfile => "/c.pem", keyfile => "/c" ".key", password => "hush"}, #{certfile => "/other.pem"}'
    path.write_text(f'[{{client, [{{certs_keys, [{pairs}]}}, {{cacertfile, "/ca.pem"}}]}}].')
    assert from_optfile(path) == TlsOptions(Path("/ca.pem"), Path("/c.pem"), Path("/c.key"), password=Secret("hush"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[{a, b}]",
        "{client, []}.",
        "[{client, [}]].",
        "[A].",
        "[]. []. ",
        "#{}.",
        "[{client, [{certfile, [$/, 99]}]}].",
        "[" * 2000 + "]" * 1999 + ".",
    ],
)
def test_an_optfile_that_is_none_is_told_with_its_path(tmp_path, text):
    path = tmp_path / "opts"
    path.write_text(text)
    with pytest.raises(ConfigError, match="opts"):
        from_optfile(path)
    with pytest.raises(ConfigError, match="missing"):
        from_optfile(tmp_path / "missing")
