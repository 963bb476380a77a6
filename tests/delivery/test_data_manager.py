"""The Data Manager API as a destination: its requests by Google's own types, its refusals event by event."""

import dataclasses
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.ads import datamanager_v1 as dm
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.conditions import Conditions
from bridge.delivery.batches import Location
from bridge.delivery.data_manager import DataManagerDestination
from bridge.delivery.errors import LimitError, SendError
from bridge.delivery.loop import DeliveryLoop, deliver_within
from bridge.delivery.sender import Sender
from bridge.emulator.server import Emulator
from bridge.google.credentials import Credentials
from bridge.report.model import Event, Report
from bridge.state.state import State
from bridge.state.status import DestinationStatus, Processing
from tests.delivery.support import DAY, HOUR, Hands, keep, report
from tests.google.support import ServiceAccount, service_account
from tests.support.google_types import parsed

AT = 1_750_000_000_250_000
WHEN = datetime.fromtimestamp(AT / 1e6, UTC)
GOOD, BAD = Event("host_count", {"value": 3}), Event("cluster", {"version": "6.8.0", "currency": "EUR"})
"""What Google has a field for may be no parameter; GA4's Measurement Protocol takes it."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> ServiceAccount:
    return service_account(tmp_path_factory.mktemp("account") / "key.json")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
def to(emulator: Emulator) -> DataManagerDestination:
    return DataManagerDestination("G-EMULATOR", "123456789", emulator.base_url)


@pytest.fixture
async def sender(emulator: Emulator, account: ServiceAccount) -> AsyncIterator[Sender]:
    async with Sender() as sender:
        sender.tokens = Credentials(sender, account.file, emulator.base_url)
        yield sender


async def delivered(
    state_dir: Path, to: DataManagerDestination, sender: Sender, *events: Event, hands: Hands | None = None
) -> DestinationStatus:
    """How the destination stands after the delivery of a report of these events, or of nothing new."""
    with State.open(state_dir, clock=hands.clock if hands else None) as store:
        if events:
            keep(store, replace(report(collected_at=hands.wall if hands else None), events=events), [to])
        loop = DeliveryLoop(to, store, sender, Conditions(), uniform=lambda least, most: 60.0)
        await deliver_within([loop], 20.0)  # what failed is not tried again in that time
        (status,) = store.status().destinations
    return status


def sent(a_report: Report, to: DataManagerDestination) -> list[dm.IngestEventsRequest]:
    """The requests of a report as Google reads them."""
    requests = [to.request(batch.body, a_report.collected_at) for batch in to.batches(a_report)]
    return [parsed(request.body, dm.IngestEventsRequest) for request in requests]


def test_a_report_is_one_request_of_google_s_own_form() -> None:
    events = (GOOD, Event("outgoing_pool", {"value": "rabbit", "pool": "rabbit"}), Event("xmpp", {"total": 7}))
    to = DataManagerDestination("G-ABCD1", "42", location=Location("PL", "PL-12", "Krakow"))
    (request,) = sent(replace(report(collected_at=AT), events=events), to)
    (where,) = request.destinations
    assert where.operating_account == where.login_account
    assert (where.operating_account.account_id, where.product_destination_id) == ("42", "G-ABCD1")
    assert where.operating_account.account_type is dm.ProductAccount.AccountType.GOOGLE_ANALYTICS_PROPERTY
    assert request.consent.ad_user_data is request.consent.ad_personalization is dm.ConsentStatus.CONSENT_DENIED
    added = {"session_id": "1750000000", "engagement_time_msec": "100"}
    seen = [
        (
            event.event_name,
            event.conversion_value,
            {each.parameter_name: each.value for each in event.additional_event_parameters},
        )
        for event in request.events
    ]
    assert seen == [
        ("host_count", 3.0, added),
        ("outgoing_pool", 0.0, {"pool": "rabbit", **added}),
        ("xmpp", 0.0, {"total": "7", **added}),
    ]
    for event in request.events:
        assert (event.client_id, event.event_source, event.event_timestamp) == ("12.34", dm.EventSource.WEB, WHEN)
        location = event.event_location
        assert (location.region_code, location.subdivision_code, location.city) == ("PL", "PL-12", "Krakow")


@given(st.integers(0, 2**50), st.text(max_size=100).filter(lambda text: text.isprintable()))
def test_every_event_has_the_time_of_collection_as_it_is_known_when_it_is_sent(at: int, text: str) -> None:
    to = DataManagerDestination("G-ABCD1", "42")
    trap = Event("cluster", {"version": text, "mode": '"eventTimestamp":"1970"'})
    (batch,) = to.batches(replace(report(collected_at=AT), events=(GOOD, trap)))
    request = parsed(to.request(batch.body, at).body, dm.IngestEventsRequest)
    assert [round(event.event_timestamp.timestamp() * 1e6) for event in request.events] == [at, at]
    values = {each.parameter_name: each.value for each in request.events[1].additional_event_parameters}
    assert (values["version"], values["mode"]) == (text, '"eventTimestamp":"1970"')


def test_a_large_report_is_cut_after_2000_events() -> None:
    to = DataManagerDestination("G-ABCD1", "42")
    assert [(batch.first, batch.events) for batch in to.batches(report(2_001))] == [(0, 2_000), (2_000, 1)]
    assert [len(request.events) for request in sent(report(2_001), to)] == [2_000, 1]


def test_what_ga4_would_cut_is_refused_before_it_is_queued() -> None:
    with pytest.raises(LimitError, match="at most 100 characters"):
        DataManagerDestination("G-ABCD1", "42").batches(replace(report(), events=(Event("x", {"y": "z" * 101}),)))


async def test_the_good_events_of_a_request_are_delivered_without_the_bad_ones(
    tmp_path: Path, emulator: Emulator, to: DataManagerDestination, sender: Sender
) -> None:
    status = await delivered(tmp_path, to, sender, GOOD, BAD, GOOD, BAD)
    assert (status.delivered, status.rejected, status.queued_events) == (2, 2, 0)
    assert [event.name for event in emulator.events] == ["host_count", "host_count"]
    reason = "event 'cluster', param 'currency': RESERVED_NAME_USED The event has a field for it."
    assert status.error == reason
    with State.open(tmp_path) as store:
        found = store.report(1)
    assert found
    assert [(letter.first, letter.events, letter.reason) for letter in found[2]] == [(1, 1, reason), (3, 1, reason)]
    assert [(one.delivered, one.rejected, one.error) for one in found[0].deliveries] == [(2, 2, reason)]


async def test_a_request_without_a_good_event_becomes_a_dead_letter(
    tmp_path: Path, emulator: Emulator, to: DataManagerDestination, sender: Sender
) -> None:
    status = await delivered(tmp_path, to, sender, BAD, BAD)
    assert (status.delivered, status.rejected, status.queued_events) == (0, 2, 0)
    assert emulator.events == []


async def test_a_request_that_is_refused_for_its_destination_is_not_repeated(
    tmp_path: Path, to: DataManagerDestination, sender: Sender
) -> None:
    status = await delivered(tmp_path, dataclasses.replace(to, measurement_id="G-OTHER1"), sender, GOOD)
    assert (status.rejected, status.queued_events) == (1, 0)
    assert status.error
    assert "destinations[0].product_destination_id: INVALID_DESTINATION" in status.error
    assert status.error.endswith("do measurement_id and property_id belong together?")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("data-manager:disabled", "the Data Manager API is off in the project of the credentials; enable it: https://"),
        ("data-manager:403", "no right to write to the property; make it Editor there"),
        ("data-manager:401", "refuses the access token"),
        ("data-manager:429:retry-after=7", "429"),
        ("data-manager:503", "503"),
        ("token:400", "takes nothing without an access token: Google refuses the credentials"),
    ],
)
async def test_what_may_pass_keeps_the_events_in_the_queue_and_says_what_is_missing(
    tmp_path: Path, emulator: Emulator, to: DataManagerDestination, sender: Sender, fault: str, words: str
) -> None:
    emulator.fail = fault
    status = await delivered(tmp_path, to, sender, GOOD)
    assert (status.delivered, status.rejected, status.queued_events) == (0, 0, 1)
    assert status.error
    assert words in status.error
    emulator.fail = ""


async def test_a_token_that_ends_in_the_middle_is_replaced(
    tmp_path: Path, emulator: Emulator, to: DataManagerDestination, sender: Sender
) -> None:
    emulator.fail = "data-manager:ok*1; data-manager:401*1"
    status = await delivered(tmp_path, to, sender, *[GOOD] * 2_001)
    assert (status.delivered, status.queued_events, status.error) == (2_001, 0, None)
    asked = [(each.path, each.answer) for each in emulator.requests if each.events == 0]
    assert asked.count(("/token", "200")) == 2


async def test_credentials_that_are_not_there_are_named(
    tmp_path: Path, emulator: Emulator, to: DataManagerDestination
) -> None:
    async with Sender() as sender:
        sender.tokens = Credentials(sender, tmp_path / "nowhere.json", emulator.base_url)
        status = await delivered(tmp_path / "state", to, sender, GOOD)
    assert status.queued_events == 1
    assert status.error
    assert re.search(r"takes nothing without an access token: .*nowhere\.json", status.error)


async def test_validating_records_nothing_and_maps_violations_and_warnings_to_events(
    emulator: Emulator, to: DataManagerDestination, sender: Sender
) -> None:
    async def objections(client_id: str, *events: Event) -> list[tuple[int | None, str, bool]]:
        a_report = replace(report(), client_id=client_id, events=events)
        (batch,) = to.batches(a_report)
        found = await to.validate(batch, sender, collected_at=a_report.collected_at, seconds=5)
        return [(each.event, each.code, each.drops) for each in found]

    assert await objections("1.2", GOOD, GOOD) == []
    assert await objections("1.2", GOOD, BAD) == [(1, "RESERVED_NAME_USED", True)]
    assert await objections("no number", GOOD) == [(0, "WARNING_REASON_INVALID_CLIENT_ID", False)]
    assert emulator.events == []
    emulator.fail = "data-manager:disabled"
    with pytest.raises(SendError, match="is off"):
        await objections("1.2", GOOD)


MINUTE = HOUR // 60


def asked(emulator: Emulator) -> int:
    """How often it was asked what became of a request."""
    return sum(request.path == "/v1/requestStatus:retrieve" for request in emulator.requests)


@pytest.mark.parametrize(
    ("old", "processing", "words"),
    [
        (0, Processing(3, 0, 0, None), "3 processed"),
        (80 * HOUR, Processing(0, 3, 0, "EVENT_TOO_OLD (3)"), "3 not processed (EVENT_TOO_OLD (3))"),
    ],
)
async def test_what_became_of_the_events_is_asked_after_half_an_hour_and_shown(
    tmp_path: Path,
    emulator: Emulator,
    to: DataManagerDestination,
    sender: Sender,
    caplog: pytest.LogCaptureFixture,
    old: int,
    processing: Processing,
    words: str,
) -> None:
    hands = Hands(wall=time.time_ns() // 1000 - old)
    status = await delivered(tmp_path, to, sender, *[GOOD] * 3, hands=hands)
    assert (status.delivered, status.processing) == (3, Processing(0, 0, 3, None))
    hands.pass_time(29 * MINUTE)
    await delivered(tmp_path, to, sender, hands=hands)
    assert asked(emulator) == 0
    hands.pass_time(MINUTE)
    status = await delivered(tmp_path, to, sender, hands=hands)
    assert (status.processing, str(status.processing), asked(emulator)) == (processing, words, 1)
    assert ("events_not_processed" in caplog.text) == (processing.failed > 0)
    hands.pass_time(DAY)
    await delivered(tmp_path, to, sender, hands=hands)
    assert asked(emulator) == 1  # what is answered is not asked again
    with State.open(tmp_path) as store:
        (one,) = store.status().reports[0].deliveries
    assert one.processing == processing


async def test_it_is_asked_again_whenever_the_request_is_twice_as_old_for_a_day(
    tmp_path: Path, account: ServiceAccount
) -> None:
    async with Emulator(processing=2 * 86_400) as emulator, Sender() as sender:
        sender.tokens = Credentials(sender, account.file, emulator.base_url)
        to = DataManagerDestination("G-EMULATOR", "123456789", emulator.base_url)
        hands = Hands(wall=time.time_ns() // 1000)
        await delivered(tmp_path, to, sender, GOOD, hands=hands)
        emulator.fail = "data-manager:404*1"  # Google knows a request only after a while
        ages = []
        for age in range(30, 26 * 60, 30):
            before = asked(emulator)
            hands.pass_time(30 * MINUTE)
            status = await delivered(tmp_path, to, sender, hands=hands)
            ages += [age] if asked(emulator) > before else []
    assert ages == [30, 60, 120, 240, 480, 960, 1440]
    assert status.processing == Processing(0, 0, 1, "it is being processed")
    assert (status.delivered, status.error) == (1, None)
