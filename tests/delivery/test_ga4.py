"""A GA4 property as a destination: its names, its request, the endpoints that can be used."""

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.delivery.errors import DestinationError
from bridge.delivery.ga4 import Ga4Destination
from bridge.secret import Secret
from tests.delivery.support import NOW, SECRET, destination, report

if TYPE_CHECKING:
    from bridge.delivery.destination import Destination

EU = "https://region1.google-analytics.com/mp/collect"


def test_a_request_names_property_and_secret_in_the_query_and_shows_neither_secret_nor_url() -> None:
    to: Destination = Ga4Destination("G-ABCD", Secret("a&b=c d"), EU)
    (batch,) = to.batches(report(1, NOW))
    request = to.request(batch.body, NOW)
    parts = urlsplit(request.url.reveal())
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == EU
    assert parse_qs(parts.query, strict_parsing=True) == {"measurement_id": ["G-ABCD"], "api_secret": ["a&b=c d"]}
    assert request.headers["content-type"] == "application/json"
    assert request.body == batch.body
    assert "a%26b" not in repr(request)
    assert "a&b" not in repr(to) + repr(request)


def test_the_id_survives_a_change_of_secret_and_tells_endpoints_apart() -> None:
    one, two = Ga4Destination("G-ABCD", Secret("one")), Ga4Destination("G-ABCD", Secret("two"))
    assert one.id == two.id
    assert one.id != Ga4Destination("G-ABCD", Secret("one"), EU).id != Ga4Destination("G-ABCE", Secret("one"), EU).id
    assert one.name == "G-ABCD"
    assert Ga4Destination("G-ABCD", Secret("one"), EU).name == "G-ABCD at region1.google-analytics.com"


@pytest.mark.parametrize("measurement_id", ["", "UA-1234-1", "G-abcd", "G-", "G-ABCD\n", "G-AB", "G-ABCD&x=1"])
def test_what_is_no_measurement_id_is_refused_with_where_to_find_one(measurement_id: str) -> None:
    with pytest.raises(DestinationError, match="not a measurement id; GA4 shows it"):
        Ga4Destination(measurement_id, Secret(SECRET))


@pytest.mark.parametrize(
    "endpoint", ["", "ftp://host/x", "https://", "/mp/collect", "https://host:port/x", "http://[::1"]
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(DestinationError, match="not an http or https address"):
        destination(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["https://me:hunter2@relay/x", "https://relay/x?key=hunter2", "https://relay/x#hunter2", "https://relay/hun ter2"],
)
def test_an_endpoint_can_hold_no_secret_and_is_not_quoted_when_it_does(endpoint: str) -> None:
    with pytest.raises(DestinationError, match="give scheme, host, port and path only") as caught:
        destination(endpoint)
    assert "hun" not in str(caught.value)


def test_the_time_of_collection_is_stamped_and_all_else_is_sent_as_it_was_stored() -> None:
    to = destination("http://host/mp/collect")
    tricky = report(2, NOW, tag='"timestamp_micros":9')
    (batch,) = to.batches(tricky)
    assert to.request(batch.body, NOW).body == batch.body
    earlier = json.loads(to.request(batch.body, NOW - 5).body)
    assert earlier == {**json.loads(batch.body), "timestamp_micros": NOW - 5}


def test_a_client_id_that_looks_like_the_time_is_left_alone() -> None:
    to = destination("http://host/mp/collect")
    tricky = '","timestamp_micros":99999999999999999,"'
    (batch,) = to.batches(type(report())(tricky, NOW, report(1).events, {}))
    sent = json.loads(to.request(batch.body, NOW - 5).body)
    assert (sent["client_id"], sent["timestamp_micros"]) == (tricky, NOW - 5)
