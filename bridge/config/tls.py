"""TLS of the distribution: `[bridge.tls]`, else what the nodes' own files say, so that it need not be repeated.

A node has its options as `-ssl_dist_opt` words or in the `-ssl_dist_optfile` of its `vm.dist.args`; a section of the
optfile counts in place of the words. Source: "Using TLS for Erlang Distribution" of the ssl application's User's Guide.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import read
from bridge.config.term_text import parse_terms
from bridge.config.vm_args import parse_flags
from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom, Map
from bridge.erlang.tls import TlsOptions, TlsSetupError, client_context
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.config.load import Loaded
    from bridge.config.model import Tls
    from bridge.config.vm_args import VmArgs
    from bridge.erlang.terms import Term

KEY: Final = "bridge.tls"


def dist_tls(loaded: Loaded, vm_args: VmArgs | None) -> TlsOptions | None:
    """The TLS options of the distribution; None for a cluster that speaks plain TCP.

    Raises:
        ConfigError: a file is missing, unreadable or not PEM, or key and certificate do not belong together.
    """
    if where := loaded.where(KEY):
        found = _from_section(loaded.settings.bridge.tls)
    elif vm_args and vm_args.tls:
        where, found = loaded.where("bridge.vm_args"), from_words(vm_args.words)
    else:
        return None
    try:
        client_context(found)
    except TlsSetupError as error:
        raise ConfigError([Problem(where, KEY, error.what, error.remedy)]) from error
    return found


def from_words(words: Sequence[str]) -> TlsOptions:
    """The client's options that the command line of a node has, as in `vm.dist.args`.

    Raises:
        ConfigError: an optfile cannot be read or is not a list of terms.
    """
    flags = list(parse_flags(words))
    optfile = next((values[0] for name, values in flags if name == "-ssl_dist_optfile" and values), None)
    given = list(chain.from_iterable(values for name, values in flags if name == "-ssl_dist_opt"))
    pairs = dict(zip(given[0::2], given[1::2], strict=False))
    client = {key.removeprefix("client_"): value for key, value in pairs.items() if key.startswith("client_")}
    return _options((_client_section(Path(optfile)) if optfile else {}) or client)


def from_optfile(path: Path) -> TlsOptions:
    """The client's options of an `ssl_dist_optfile`.

    Raises:
        ConfigError: it cannot be read or is not a list of terms.
    """
    return _options(_client_section(path))


def _from_section(section: Tls) -> TlsOptions:
    if section.optfile:
        return from_optfile(Path(section.optfile))
    ca, cert, key = (Path(name) if name else None for name in (section.cacertfile, section.certfile, section.keyfile))
    return TlsOptions(ca, cert, key, verify=section.verify, check_hostname=section.check_hostname)


def _client_section(path: Path) -> dict[str, str]:
    try:
        terms = parse_terms(read(path, KEY).decode())
    except (UnicodeDecodeError, EtfError) as error:
        what, remedy = f"is not a list of Erlang terms: {error}", "`file:consult/1` has to be able to read it"
        raise ConfigError([Problem(str(path), KEY, what, remedy)]) from error
    if len(terms) != 1 or not isinstance(terms[0], list):
        remedy = "write [{server, [...]}, {client, [...]}]."
        raise ConfigError([Problem(str(path), KEY, "does not hold one list", remedy)])
    return next((_texts(options) for name, options in _pairs(terms[0]) if name == "client"), {})


def _pairs(terms: Term) -> list[tuple[str, Term]]:
    """What a property list or a map has, the first of several last, so that it counts."""
    items = terms.items() if isinstance(terms, Map) else terms if isinstance(terms, list) else ()
    return [item for item in items if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Atom)][::-1]


def _texts(options: Term) -> dict[str, str]:
    """The options as the words of the command line have them; of several certificates the first is ours."""
    found: dict[str, str] = {}
    for key, value in _pairs(options):
        if key == "certs_keys" and isinstance(value, list) and value:
            found |= _texts(value[0])
        else:
            found[key] = _text(value)
    return found


def _text(value: Term) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list) and all(isinstance(item, int) and 0 <= item < 0x11_0000 for item in value):
        return "".join(map(chr, value))
    return str(value)


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
