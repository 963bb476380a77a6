"""The validator gets the same body, with recommendations enforced; its messages find their way back to the events."""

import json
import time

import pytest
from msgspec.structs import replace

from bridge.delivery.batches import batches
from bridge.delivery.destination import Answer
from bridge.delivery.errors import DestinationError
from bridge.delivery.sender import Sender
from bridge.delivery.validation import Objection, objections, validation_request
from bridge.emulator.server import Emulator
from bridge.report.model import Event
from tests.delivery.support import NOW, destination, report


def test_the_request_goes_to_the_debug_endpoint_and_enforces_recommendations() -> None:
    (batch,) = batches(report(2, NOW))
    request = validation_request(destination("https://www.google-analytics.com/mp/collect"), batch.body, NOW)
    assert request.url.reveal().startswith("https://www.google-analytics.com/debug/mp/collect?measurement_id=G-TEST1&")
    assert json.loads(request.body) == {
        "validation_behavior": "ENFORCE_RECOMMENDATIONS",
        **json.loads(batch.body),
    }


def test_an_endpoint_without_a_known_validator_is_refused() -> None:
    with pytest.raises(DestinationError, match="has no validator"):
        validation_request(destination("https://relay/collector"), b"{}", NOW)


def answered(*entries: dict[str, str]) -> Answer:
    return Answer(200, {}, json.dumps({"validationMessages": entries}).encode())


@pytest.mark.parametrize(
    ("field", "description", "event"),
    [
        ("events[3]", "anything", 28),
        ("events[3].params[0].name", "anything", 28),
        ("events.3.name", "anything", 28),
        ("events", "Event at index: [3] has invalid name [_x]. Names must start with an alphabetic character.", 28),
        ("", "Unable to parse Measurement Protocol JSON payload. (events[3]) names: Cannot find field.", 28),
        ("client_id", "client_id [18] has invalid format. It should be in <number>.<number> format.", None),
        ("events[99]", "out of this request", None),
        ("", "Measurement requires a client_id.", None),
    ],
)
def test_messages_are_mapped_back_to_the_events_of_the_report(field: str, description: str, event: int | None) -> None:
    second = batches(report(60, NOW))[1]
    entry = {"fieldPath": field, "description": description, "validationCode": "VALUE_INVALID"}
    assert objections(answered(entry), second, "peer") == (
        Objection(event, field, description, "VALUE_INVALID", drops=field != "client_id"),
    )


def test_no_message_is_no_objection() -> None:
    assert objections(answered(), batches(report(1, NOW))[0], "peer") == ()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"validationMessages": [1]}', b'"x"'])
def test_what_is_no_validation_is_told(body: bytes) -> None:
    with pytest.raises(DestinationError, match=r"peer answered 404 and no validation"):
        objections(Answer(404, {}, body), batches(report(1, NOW))[0], "peer")


async def test_the_emulators_objection_names_the_event_that_is_meant() -> None:
    """The last of 27 events, alone in its request with its neighbour, gets a name that our own check refuses."""
    events = tuple(Event("host_count", {"value": number}) for number in range(27))
    first, second = batches(replace(report(), events=events))
    broken = second.body.replace(b'"name":"host_count","params":{"value":26', b'"name":"_host","params":{"value":26')
    assert broken != second.body
    async with Emulator() as emulator, Sender() as sender:
        to = destination(emulator.url)
        now = time.time_ns() // 1000
        fine = await sender.send(validation_request(to, first.body, now), 5)
        bad = await sender.send(validation_request(to, broken, now), 5)
        assert emulator.events == []
    assert objections(fine, first, to.peer) == ()
    (objection,) = objections(bad, second, to.peer)
    assert objection.event == 26
