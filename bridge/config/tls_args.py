"""TLS options as a node has them: `-ssl_dist_opt` words and the `-ssl_dist_optfile` of its `vm.dist.args`.

So the bridge can be pointed at a node's own files instead of repeating them.

Source: "Using TLS for Erlang Distribution" of the ssl application's User's Guide. As there, a section of the optfile
counts in place of the words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.config.term_text import parse_terms
from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom
from bridge.erlang.tls import TlsOptions, TlsSetupError
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.erlang.terms import Term


def from_words(words: Sequence[str]) -> TlsOptions:
    """The client's options that the command line of a node has, as in `vm.dist.args`.

    Raises:
        TlsSetupError: an optfile cannot be read or is not a list of terms.
    """
    pairs: dict[str, str] = {}
    optfile: str | None = None
    flag = ""
    values: list[str] = []
    for word in [*words, "-"]:
        if not word.startswith("-"):
            values.append(word)
            continue
        if flag == "-ssl_dist_opt":
            pairs.update(zip(values[0::2], values[1::2], strict=False))
        elif flag == "-ssl_dist_optfile" and values:
            optfile = values[0]
        flag, values = word, []
    return _options((_client_section(Path(optfile)) if optfile else {}) or _client_words(pairs))


def from_optfile(path: Path) -> TlsOptions:
    """The client's options of an `ssl_dist_optfile`.

    Raises:
        TlsSetupError: it cannot be read or is not a list of terms.
    """
    return _options(_client_section(path))


def _client_words(pairs: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix("client_"): value for key, value in pairs.items() if key.startswith("client_")}


def _client_section(path: Path) -> dict[str, str]:
    what = f"the ssl_dist_optfile {path}"
    try:
        terms = parse_terms(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise TlsSetupError(f"{what} cannot be read: {reason}", "the bridge needs the right to read it") from error
    except EtfError as error:
        raise TlsSetupError(f"{what} is not a list of Erlang terms: {error}") from error
    if len(terms) != 1 or not isinstance(terms[0], list):
        raise TlsSetupError(f"{what} should hold one list, as [{{server, [...]}}, {{client, [...]}}].")
    for section in terms[0]:
        match section:
            case (Atom("client"), list() as options):
                pairs = [item for item in options if isinstance(item, tuple) and len(item) == 2]
                # the first of several counts, as in a property list
                return {str(key): _text(value) for key, value in reversed(pairs)}
    return {}


def _text(value: Term) -> str:
    """A value as the words of the command line have it."""
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
