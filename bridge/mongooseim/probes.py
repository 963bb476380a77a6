"""The Erlang text that is evaluated in each node: one expression made of the files in `probes/`, asked in one call.

`erl_eval:expr/5` takes a parsed expression, so the call carries a small one, written here as the parser would give it,
that scans, parses and evaluates the text in the node. No code is installed there, no secret leaves it, and an operator
can paste the same text into a shell of the node (`mongooseim-bridge probes` prints it).
Source: erl_eval, erl_scan and erl_parse of stdlib; The Abstract Format, ERTS User's Guide.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from bridge.erlang.terms import Atom

if TYPE_CHECKING:
    from bridge.erlang.terms import Term

PROBES: Final = (
    "node",
    "version",
    "otp_release",
    "uptime",
    "config_type",
    "components",
    "host_count",
    "domain_count",
    "modules",
    "http_handlers",
    "c2s_transports",
    "c2s_tls",
    "outgoing_pools",
    "stanza_counts",
    "cluster_id",
    "own_reporter",
    "other_bridges",
)
"""Every fact that is asked, in this order; each is the file `probes/NAME.erl`."""

_LINE: Final = 1
_TEXT: Final = Atom("Text")


OWN_COLLECTOR: Final = "own_collector"
"""What `compare` asks besides: MongooseIM's own report."""


@lru_cache(maxsize=2)
def text(*, own_collector: bool = False) -> str:
    """The whole text with its comments, ready to paste into an Erlang shell (it ends with a full stop)."""
    files = {name: f"probes/{name}.erl" for name in PROBES}
    if own_collector:
        files[OWN_COLLECTOR] = "own_collector.erl"
    asked = ",\n".join(f"{{{name}, fun() ->\n{_indented(_read(file))}\nend}}" for name, file in files.items())
    return f"{_read('frame.erl')}\n{asked}\n]).\n"


@lru_cache(maxsize=2)
def call_arguments(*, own_collector: bool = False) -> tuple[Term, ...]:
    """The arguments of `erl_eval:expr/5` that evaluate `text()` in the node; it gives the answers and no bindings."""
    expression = _element(2, _call("erl_eval", "exprs", _parsed((Atom("var"), _LINE, _TEXT)), (Atom("nil"), _LINE)))
    bindings = [(_TEXT, text(own_collector=own_collector).encode("ascii"))]
    return expression, bindings, Atom("none"), Atom("none"), Atom("value")


def _parsed(binary: Term) -> Term:
    tokens = _element(2, _call("erl_scan", "string", _call("erlang", "binary_to_list", binary)))
    return _element(2, _call("erl_parse", "parse_exprs", tokens))


def _read(name: str) -> str:
    return files("bridge.mongooseim").joinpath(name).read_text(encoding="utf-8").rstrip()


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())


def _call(module: str, function: str, *arguments: Term) -> Term:
    remote = (Atom("remote"), _LINE, (Atom("atom"), _LINE, Atom(module)), (Atom("atom"), _LINE, Atom(function)))
    return (Atom("call"), _LINE, remote, list(arguments))


def _element(number: int, expression: Term) -> Term:
    return _call("erlang", "element", (Atom("integer"), _LINE, number), expression)
