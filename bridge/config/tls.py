"""TLS of the distribution: `[bridge.tls]`, else what the nodes' own files say, so that it need not be repeated.

A node has its options as `-ssl_dist_opt` words or in the `-ssl_dist_optfile` of its `vm.dist.args`; a section of the
optfile counts in place of the words. Source: "Using TLS for Erlang Distribution" of the ssl application's User's Guide.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.consult import consult
from bridge.config.errors import ConfigError, Problem
from bridge.config.vm_args import parse_flags
from bridge.erlang.terms import Atom
from bridge.erlang.tls import TlsOptions, TlsSetupError, client_context
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.config.consult import Term
    from bridge.config.load import Loaded
    from bridge.config.model import Tls

KEY: Final = "bridge.tls"


def dist_tls(loaded: Loaded, words: Sequence[str]) -> TlsOptions:
    """The TLS options of the distribution: those of the section where there is one, else those of the words.

    Raises:
        ConfigError: a file is missing, unreadable or not PEM, or key and certificate do not belong together.
    """
    section, where = loaded.settings.bridge.tls, loaded.where(KEY)
    if not where:
        where, found = loaded.where("bridge.vm_args"), from_words(words)
    elif section.optfile:
        found = from_optfile(Path(section.optfile))
    else:
        found = _from_section(section)
    try:
        client_context(found)
    except TlsSetupError as error:
        raise ConfigError([Problem(where, KEY, error.what, error.remedy)]) from error
    return found


def from_words(words: Sequence[str]) -> TlsOptions:
    """The client's options that the command line of a node has, as in `vm.dist.args`.

    Raises:
        ConfigError: an optfile cannot be used.
    """
    flags = list(parse_flags(words))
    optfile = next((values[0] for name, values in flags if name == "-ssl_dist_optfile" and values), None)
    if optfile and (options := _client_section(Path(optfile))):
        return _options(options)
    given = list(chain.from_iterable(values for name, values in flags if name == "-ssl_dist_opt"))
    pairs = zip(given[0::2], given[1::2], strict=False)
    return _options({key.removeprefix("client_"): value for key, value in pairs if key.startswith("client_")})


def from_optfile(path: Path) -> TlsOptions:
    """The client's options of an `ssl_dist_optfile`.

    Raises:
        ConfigError: it cannot be read, does not hold one list of terms, or a file is not named by a text.
    """
    return _options(_client_section(path))


def _from_section(section: Tls) -> TlsOptions:
    ca, cert, key = (Path(name) if name else None for name in (section.cacertfile, section.certfile, section.keyfile))
    return TlsOptions(ca, cert, key, verify=section.verify, check_hostname=section.check_hostname)


def _client_section(path: Path) -> dict[str, str]:
    """The options that have a text; of several certificates the first is ours."""
    terms = consult(path, KEY)
    if len(terms) != 1 or not isinstance(terms[0], list):
        remedy = "write [{server, [...]}, {client, [...]}]."
        raise ConfigError([Problem(str(path), KEY, "does not hold one list", remedy)])
    options = _pairs(_pairs(terms[0]).get("client"))
    certificates = options.get("certs_keys")
    if isinstance(certificates, list) and certificates:
        options |= _pairs(certificates[0])
    for key in ("cacertfile", "certfile", "keyfile", "password"):
        if not isinstance(options.get(key, ""), str):
            raise ConfigError([Problem(str(path), KEY, f"does not have {key} as a text", 'write it as "…"')])
    return {key: value for key, value in options.items() if isinstance(value, str)}


def _pairs(terms: Term) -> dict[str, Term]:
    """What a property list or a map has; the first of several counts."""
    if isinstance(terms, dict):
        return terms
    pairs = (term for term in reversed(terms or ()) if isinstance(term, tuple) and len(term) == 2)
    return {key: value for key, value in pairs if isinstance(key, Atom)}


def _options(found: Mapping[str, str]) -> TlsOptions:
    def path(key: str) -> Path | None:
        return Path(found[key]) if found.get(key) else None

    cacertfile = path("cacertfile")
    # Without a word on it OTP 25 verifies nothing and OTP 26 the peer, which needs CAs: with them we do, too.
    verify = found.get("verify", "verify_peer" if cacertfile else "verify_none") == "verify_peer"
    return TlsOptions(
        cacertfile=cacertfile,
        certfile=path("certfile"),
        keyfile=path("keyfile"),
        verify=verify,
        check_hostname=found.get("server_name_indication") != "disable",
        password=Secret(found["password"]) if found.get("password") else None,
    )
