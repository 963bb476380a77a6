"""The library's page says what the library does: errors, limits and the first example."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.erlang import (
    Limits,
    Node,
    channel,
    connection,
    dial,
    errors,
    etf_decode,
    etf_encode,
    node,
    peer,
    retryable,
    terms,
    tls,
)
from bridge.erlang.errors import CallError, ConnectError, ErlangError, NodeError

PAGE = (Path(__file__).parents[2] / "docs/erlang-node.md").read_text()
GROUPS = {ErlangError, NodeError, ConnectError, CallError}
CLASSES = [
    kind
    for kind in [*vars(errors).values(), tls.TlsSetupError]
    if isinstance(kind, type) and issubclass(kind, ErlangError) and kind not in GROUPS
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_on_the_page_and_whether_it_is_worth_a_retry(kind):
    section = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]
    (row,) = re.findall(rf"^\|.*`{kind.__name__}`.*\|$", section, re.MULTILINE)
    assert row.endswith("| yes |") == retryable(kind.__new__(kind))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("terms.NESTING", f"{terms.NESTING}"),
        ("Limits.elements", f"{Limits().elements:,}"),
        ("Limits.inflated", f"{Limits().inflated >> 20} MiB"),
        ("etf_decode.ATOMS_KEPT", f"{etf_decode.ATOMS_KEPT:,}"),
        ("etf_decode.UNSALTED_KEYS", f"{etf_decode.UNSALTED_KEYS}"),
        ("etf_encode.INTEGER_BYTES", f"{etf_encode.INTEGER_BYTES:,}"),
        ("channel.FRAME_LIMIT", f"{channel.FRAME_LIMIT >> 20} MiB"),
        ("channel.HANDSHAKE_FRAME_LIMIT", f"{channel.HANDSHAKE_FRAME_LIMIT:,} bytes"),
        ("connection.HIGH_WATER", f"{connection.HIGH_WATER >> 20} MiB"),
        ("dial.PHASE_TIMEOUT", f"{dial.PHASE_TIMEOUT:g} s"),
        ("peer.FIRST_BACKOFF", f"{peer.FIRST_BACKOFF:g} s, doubled up to {peer.LONGEST_BACKOFF:g} s"),
        ("node.REQUESTS", f"{node.REQUESTS}"),
    ],
)
def test_every_limit_is_on_the_page_with_its_value(name, value):
    (row,) = re.findall(rf"^\|.*`{re.escape(name)}`.*\|$", PAGE, re.MULTILINE)
    assert f"| {value} |" in row


def test_the_silence_that_is_borne_is_on_the_page():
    assert f"{channel.SILENCE_UNTIL_KNOWN:g} s until" in PAGE
    assert f"at most {etf_decode.MEMORY_FACTOR} times" in PAGE


def test_every_method_of_a_node_is_on_the_page():
    methods = [name for name, value in vars(Node).items() if callable(value) and not name.startswith("_")]
    assert len(methods) > 6
    for name in methods:
        assert f"node.{name}(" in PAGE, name


def test_importing_the_library_imports_neither_asyncio_nor_ssl():
    program = "import sys, bridge.erlang; print({'asyncio', 'ssl', 'dataclasses', 'logging'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


async def test_the_first_example_runs(net25, beam25, capsys, monkeypatch):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    example = example.replace("mongooseim@localhost", beam25.name).replace("the cookie", "a_cookie_of_the_tests")
    example = example.replace('["a@host1", "b@host2"]', f'["{beam25.name}", "nobody@localhost"]')
    monkeypatch.setenv("ERL_EPMD_PORT", str(net25.epmd.port))
    namespace: dict[str, object] = {}
    exec(example.replace("asyncio.run(main())", ""), namespace)
    await namespace["main"]()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == beam25.name
    assert re.fullmatch(rf"{beam25.name} \d+", printed[1])
    assert printed[2].startswith("nobody@localhost node nobody@localhost is not registered")
