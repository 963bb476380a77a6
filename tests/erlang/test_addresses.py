"""IPv6, hosts with several addresses, and long names, with real nodes."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from bridge.erlang.errors import PortRefused, WrongNode
from erlang_stubs.beam import free_port
from tests.erlang.conftest import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from erlang_stubs.beam import Beam
    from tests.erlang.conftest import Net


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture(scope="module")
def six(net: Net) -> Iterator[Beam]:
    with net.beam("six@::1", "-proto_dist", "inet6_tcp", long=True) as beam:
        yield beam


@ipv6
async def test_a_node_of_ipv6_is_called(net, six):
    async with net.node() as node:
        assert await node.call(six.name, "erlang", "node", [], timeout=LONG) == six.name
        port = int(six.eval('element(2, erl_epmd:port_please("six", {0,0,0,0,0,0,0,1}))'))
        assert await node.call(f"six@[::1]:{port}", "erlang", "length", [[1]], timeout=LONG) == 1


@ipv6
async def test_a_node_of_ipv6_pings_us(net, six):
    async with net.node("guest@::1") as node:
        await node.connect(six.name, timeout=LONG)
        assert await asyncio.to_thread(six.eval, "net_adm:ping('guest@::1')") == "pong"
        assert node.connected() == [six.name]


async def test_long_names_are_called_and_lent(net25):
    with net25.beam("long@127.0.0.1", long=True) as beam:
        for name in (None, "bridge@127.0.0.1"):
            async with net25.node(name) as node:
                assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What the resolver gives for the host of a node; addresses themselves are left to the real one."""
    real = socket.getaddrinfo

    def found(host: object, port: object, *args: object, **options: object) -> object:
        if host == "localhost":
            return [info for each in addresses for info in real(each, port, *args, **options)]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1", "::1"),
        ("::1", "127.0.0.1"),
        ("127.0.0.9", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.9"),
        ("127.0.0.9", "127.0.0.8", "127.0.0.1"),
    ],
)
async def test_every_address_of_a_host_is_tried(net25, beam25, monkeypatch, addresses):
    if "::1" in addresses and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    resolving(monkeypatch, *addresses)
    async with net25.node() as node:
        assert await node.call(beam25.name, "erlang", "node", [], timeout=LONG) == beam25.name


async def test_the_address_of_epmd_need_not_be_that_of_the_node(net25, monkeypatch):
    """EPMD answers on the first address; the node listens on the other one only."""
    with net25.beam("apart@localhost", "-kernel", "inet_dist_use_interface", "{127,0,0,5}") as beam:
        resolving(monkeypatch, "127.0.0.1", "127.0.0.5")
        async with net25.node() as node:
            assert await node.call(beam.name, "erlang", "node", [], timeout=LONG) == beam.name


async def test_a_node_with_another_name_is_told_by_the_name_that_it_has(net25, beam25):
    port = int(beam25.eval('element(2, erl_epmd:port_please("shared", {127,0,0,1}))'))
    async with net25.node() as node:
        with pytest.raises(WrongNode, match="it calls itself shared@localhost"):
            await node.call(f"other@localhost:{port}", "erlang", "node", [], timeout=LONG)


async def test_where_no_address_takes_us_the_last_failure_is_told(net25, monkeypatch):
    resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
    async with net25.node() as node:
        with pytest.raises(PortRefused):
            await node.call(f"a@localhost:{free_port()}", "erlang", "node", [], timeout=LONG)
