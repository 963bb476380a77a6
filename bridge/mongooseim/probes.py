"""The Erlang text that is evaluated in each node: one expression made of the files in `probes/`, asked in one call.

`erl_eval:expr/5` takes a parsed expression, so the call carries a small one, written here as the parser would give it,
that scans, parses and evaluates the text in the node. No code is installed there, no secret leaves it, and an operator
can paste the same text, which has the wall's lists, into a shell of the node (`mongooseim-bridge probes` prints it).
Source: erl_eval, erl_scan and erl_parse of stdlib; The Abstract Format, ERTS User's Guide.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING, Final

from bridge.erlang.terms import Atom
from bridge.mongooseim.facts import STANZA_TYPES
from bridge.mongooseim.wall import OPTIONS, WORDS

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.erlang.terms import Term

PROBES: Final = tuple(
    """
    node version otp_release uptime config_type components host_count domain_count modules http_handlers c2s_transports
    c2s_tls outgoing_pools stanza_counts cluster_id own_reporter other_bridges
    """.split()
)
"""Every fact that is asked, in this order; each is the file `probes/NAME.erl`."""

_LINE: Final = 1
_GIVEN: Final = Atom("Given")
_TEXT: Final = Atom("Text")

OWN_WORDS: Final = frozenset(
    """
    host_count domain_count module_with_opt custom_module_count cluster http_api transport_mechanism tls_option
    outgoing_pool xmpp_stanza_count value module uptime version component node_number mode stanza_type total increment
    config_type enabled
    """.split()
).union(OPTIONS, STANZA_TYPES, *WORDS.values())
"""Every word that MongooseIM's own reporter sends, but for those that are the operator's own."""

_HERE: Final = Path(__file__).parent
_PART_OF_TIME: Final = 0.8
"""The rest is for the answers to come back."""


def text() -> str:
    """The whole text with its comments and the wall's lists, ready to paste into an Erlang shell."""
    listed = [f"{name} => [{', '.join(sorted(names))}]" for name, names in WORDS.items()]
    lists = ",\n".join(fill(names, 118, initial_indent=" " * 4, subsequent_indent=" " * 8) for names in listed)
    return _text(f'8000, "", #{{\n{lists}\n}}')


def call_arguments(
    timeout: float, own_name: str = "", also_known: Collection[str] = (), *, own_report: bool = False
) -> tuple[Term, ...]:
    """The arguments of `erl_eval:expr/5` that evaluate `text()` in the node; it gives the answers and no bindings.

    Args:
        timeout: seconds for the whole call; the probes have less.
        own_name: the node of this bridge's service, which is not another bridge.
        also_known: modules that the operator lets pass by name, beside those of the wall.
        own_report: ask for MongooseIM's own report, and for nothing else.
    """
    lists = {**WORDS, "module": WORDS["module"].union(also_known)}
    if own_report:
        lists = {"word": OWN_WORDS, "failure": WORDS["failure"]}
    given = [
        (Atom("Limit"), int(timeout * 1000 * _PART_OF_TIME)),
        (Atom("OwnName"), list(own_name.encode("ascii"))),
        (Atom("Words"), {Atom(name): [Atom(word) for word in sorted(words)] for name, words in lists.items()}),
    ]
    bindings = [(_GIVEN, given), (_TEXT, _text("Limit, OwnName, Words", own_report=own_report).encode("ascii"))]
    return _EVALUATION, bindings, Atom("none"), Atom("none"), Atom("value")


@lru_cache(maxsize=2)
def _text(arguments: str, *, own_report: bool = False) -> str:
    files = {"own_collector": "own_collector.erl"} if own_report else {name: f"probes/{name}.erl" for name in PROBES}
    asked = ",\n".join(
        f"{{{name}, fun(Known, Words, OwnName) ->\n{indent(_read(file), '    ')}\nend}}" for name, file in files.items()
    )
    return f"{_read('frame.erl')}({arguments}, [\n{asked}\n]).\n"


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").rstrip()


def _call(module: str, function: str, *arguments: Term) -> Term:
    remote = (Atom("remote"), _LINE, (Atom("atom"), _LINE, Atom(module)), (Atom("atom"), _LINE, Atom(function)))
    return (Atom("call"), _LINE, remote, list(arguments))


def _variable(name: str) -> Term:
    return (Atom("var"), _LINE, Atom(name))


def _second(expression: Term) -> Term:
    return _call("erlang", "element", (Atom("integer"), _LINE, 2), expression)


_TOKENS: Final = _second(_call("erl_scan", "string", _call("erlang", "binary_to_list", _variable(_TEXT))))
_PARSED: Final = _second(_call("erl_parse", "parse_exprs", _TOKENS))
_EVALUATION: Final = _second(_call("erl_eval", "exprs", _PARSED, _variable(_GIVEN)))
"""What evaluates the text in the node, in the form of the parser."""
