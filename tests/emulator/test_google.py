"""Google's own APIs in the emulator, through Google's own types: what they answer, count and refuse."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.ads import datamanager_v1 as dm
from google.analytics import admin_v1beta as ad
from google.analytics import data_v1beta as da
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from bridge.emulator.ga_property import GaProperty
from bridge.emulator.server import Emulator
from bridge.secret import Secret
from tests.support.google_types import parsed, refusal, written

NOW = 1_750_000_000.0
READ, EDIT = "analytics.readonly", "analytics.edit"
ALL = f"{READ} {EDIT} datamanager"
HOME = "/v1beta/properties/123456789"


class Clock:
    """Seconds since 1970, as the test wants them."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Caller:
    """Somebody with a token."""

    def __init__(self, emulator: Emulator, client: httpx.AsyncClient, clock: Clock) -> None:
        self.emulator, self.client, self.clock = emulator, client, clock
        self.token = ""

    async def grant(self, scopes: str = ALL, **claims: Any) -> httpx.Response:
        """Ask for a token as a service account does; the signature is not looked at."""
        scope = " ".join(f"https://www.googleapis.com/auth/{name}" for name in scopes.split())
        now = int(self.clock())
        whole = {"iss": "a@b.iam.gserviceaccount.com", "aud": "https://oauth2.googleapis.com/token", "scope": scope}
        parts = [{"alg": "RS256", "typ": "JWT"}, {**whole, "iat": now, "exp": now + 3600, **claims}]
        text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": f"{text}.c2lnbmVk"}
        answer = await self.client.post(f"{self.emulator.base_url}/token", data=form)
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"{self.emulator.base_url}{path}"
        return await self.client.request(method, url, headers=headers, json=body)

    async def report(self, request: da.RunReportRequest) -> httpx.Response:
        return await self.ask("POST", f"{HOME}:runReport", written(request))

    async def realtime(self, request: da.RunRealtimeReportRequest) -> httpx.Response:
        return await self.ask("POST", f"{HOME}:runRealtimeReport", written(request))

    async def send(self, *events: dict[str, Any], secret: str = "right", stream: str = "G-EMULATOR") -> None:
        """By the Measurement Protocol."""
        query = {"measurement_id": stream, "api_secret": secret}
        params = {"session_id": "1", "engagement_time_msec": 100}
        whole = [{**event, "params": {**params, **event.get("params", {})}} for event in events]
        body = {"client_id": "1.2", "timestamp_micros": int(self.clock() * 1e6), "events": whole}
        answer = await self.client.post(self.emulator.url, params=query, json=body)
        assert answer.status_code == 204


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    clock = Clock()
    place = GaProperty(secret=Secret("right"))
    async with (
        Emulator(clock=clock, place=place, processing=1800) as emulator,
        httpx.AsyncClient(trust_env=False, timeout=5) as client,
    ):
        caller = Caller(emulator, client, clock)
        await caller.grant()
        yield caller


def rows(report: Any) -> list[tuple[list[str], list[str]]]:
    return [
        ([cell.value for cell in row.dimension_values], [cell.value for cell in row.metric_values])
        for row in report.rows
    ]


def event(name: str = "host_count", **fields: Any) -> dm.Event:
    parameters = [dm.EventParameter(parameter_name="session_id", value="1")]
    whole = {
        "event_name": name,
        "client_id": "1.2",
        "event_timestamp": datetime.fromtimestamp(NOW, UTC),
        "event_source": dm.EventSource.WEB,
        "additional_event_parameters": parameters,
    }
    return dm.Event(**{**whole, **fields})


def ingest(*events: dm.Event, measurement_id: str = "G-EMULATOR", **fields: Any) -> dict[str, Any]:
    account = dm.ProductAccount(
        account_type=dm.ProductAccount.AccountType.GOOGLE_ANALYTICS_PROPERTY, account_id="123456789"
    )
    where = dm.Destination(operating_account=account, login_account=account, product_destination_id=measurement_id)
    denied = dm.ConsentStatus.CONSENT_DENIED
    consent = dm.Consent(ad_user_data=denied, ad_personalization=denied)
    return written(dm.IngestEventsRequest(destinations=[where], events=events, consent=consent, **fields))


async def test_google_s_own_library_gets_a_token_for_the_key_of_a_service_account(caller: Caller) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    caller.clock.now = datetime.now(UTC).timestamp()
    account = Credentials.from_service_account_info(
        {"client_email": "a@b.example", "private_key": key.decode(), "token_uri": f"{caller.emulator.base_url}/token"},
        scopes=["https://www.googleapis.com/auth/analytics.readonly"],
    )
    await asyncio.to_thread(account.refresh, Request())
    caller.token = account.token
    assert (await caller.ask("GET", "/v1beta/accountSummaries")).status_code == 200


@pytest.mark.parametrize(
    ("claims", "error", "words"),
    [
        ({"aud": "https://example.com"}, "invalid_grant", "aud"),
        ({"exp": int(NOW)}, "invalid_grant", "short-lived"),
        ({"exp": int(NOW) + 7200}, "invalid_grant", "short-lived"),
        ({"iat": int(NOW) + 900, "exp": int(NOW) + 4000}, "invalid_grant", "reasonable timeframe"),
        ({"scope": ""}, "invalid_scope", "scope"),
        ({"iss": 7}, "invalid_grant", "iss"),
    ],
)
async def test_a_bad_jwt_gets_no_token(caller: Caller, claims: dict[str, Any], error: str, words: str) -> None:
    answer = await caller.grant(**claims)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert words in answer.json()["error_description"]


async def test_a_token_is_needed_and_ends_after_an_hour(caller: Caller) -> None:
    good, path = caller.token, "/v1beta/accountSummaries"
    assert (await caller.ask("GET", path)).status_code == 200
    for token, reason in (("", "CREDENTIALS_MISSING"), ("other", "ACCESS_TOKEN_EXPIRED")):
        caller.token = token
        status, (info,) = refusal((await caller.ask("GET", path)).content)
        assert (status.code, info.reason) == (401, reason)
    caller.token, caller.clock.now = good, NOW + 3600
    assert (await caller.ask("GET", path)).status_code == 401


async def test_a_scope_is_for_its_own_work_only(caller: Caller) -> None:
    await caller.grant(READ)
    assert (await caller.ask("GET", f"{HOME}/customDimensions")).status_code == 200
    for path, body in ((f"{HOME}/customDimensions", {}), ("/v1/events:ingest", ingest(event()))):
        status, (info,) = refusal((await caller.ask("POST", path, body)).content)
        assert (status.code, info.reason) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")


async def test_a_property_of_others_is_not_told_from_one_that_does_not_exist(caller: Caller) -> None:
    for method, path, body in (
        ("GET", "/v1beta/properties/42/dataStreams", None),
        ("POST", "/v1beta/properties/42:runRealtimeReport", written(live())),
    ):
        assert (await caller.ask(method, path, body)).status_code == 403


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1beta/accountSummaries", ad.ListAccountSummariesResponse),
        (f"{HOME}/dataStreams", ad.ListDataStreamsResponse),
        (f"{HOME}/customDimensions", ad.ListCustomDimensionsResponse),
        (f"{HOME}/customMetrics", ad.ListCustomMetricsResponse),
        (f"{HOME}/dataRetentionSettings", ad.DataRetentionSettings),
    ],
)
async def test_answers_are_of_google_s_types(caller: Caller, path: str, kind: Any) -> None:
    await define(caller, "module", "backend")
    await define(caller, "total", metric=True)
    answer = await caller.ask("GET", path)
    assert answer.status_code == 200
    assert written(parsed(answer.content, kind))


async def define(caller: Caller, *names: str, metric: bool = False) -> httpx.Response:
    for name in names:
        if metric:
            unit, scope = ad.CustomMetric.MeasurementUnit.STANDARD, ad.CustomMetric.MetricScope.EVENT
            body = ad.CustomMetric(parameter_name=name, display_name=name, measurement_unit=unit, scope=scope)
        else:
            event_scope = ad.CustomDimension.DimensionScope.EVENT
            body = ad.CustomDimension(parameter_name=name, display_name=name, scope=event_scope)
        answer = await caller.ask("POST", f"{HOME}/{'customMetrics' if metric else 'customDimensions'}", written(body))
    return answer


@pytest.mark.parametrize("metric", [False, True])
async def test_definitions_are_created_once_and_up_to_the_limit(caller: Caller, metric: bool) -> None:
    path, kind = (
        f"{HOME}/{'customMetrics' if metric else 'customDimensions'}",
        ad.CustomMetric if metric else ad.CustomDimension,
    )
    created = parsed((await define(caller, "module", metric=metric)).content, kind)
    assert (created.parameter_name, created.name.rpartition("/")[0]) == ("module", path.removeprefix("/v1beta/"))
    assert refusal((await define(caller, "module", metric=metric)).content)[0].code == 409
    assert (await define(caller, *(f"p{n}" for n in range(49)), metric=metric)).status_code == 200
    assert refusal((await define(caller, "one_more", metric=metric)).content)[0].code == 400


async def test_lists_come_in_pages(caller: Caller) -> None:
    names = [f"p{n}" for n in range(45)]
    await define(caller, *names)
    found, token, pages = list[str](), "", 0
    while pages == 0 or token:
        answer = await caller.ask("GET", f"{HOME}/customDimensions?pageSize=200&pageToken={token}")
        page = parsed(answer.content, ad.ListCustomDimensionsResponse)
        found, token, pages = (
            [*found, *(each.parameter_name for each in page.custom_dimensions)],
            page.next_page_token,
            pages + 1,
        )
    assert (found, pages) == (names, 3)


@pytest.mark.parametrize(
    "fields",
    [
        {"parameterName": "1st"},
        {"parameterName": "x" * 41},
        {"displayName": "x" * 83},
        {"displayName": "a-b"},
        {"description": "x" * 151},
        {"scope": "PAGE"},
        {"unknown": 1},
    ],
)
async def test_a_definition_that_breaks_a_rule_is_refused(caller: Caller, fields: dict[str, Any]) -> None:
    body = {"parameterName": "module", "displayName": "Module", "scope": "EVENT", **fields}
    assert refusal((await caller.ask("POST", f"{HOME}/customDimensions", body)).content)[0].code == 400


def live(*dimensions: str, oldest: int = 29) -> da.RunRealtimeReportRequest:
    return da.RunRealtimeReportRequest(
        dimensions=[da.Dimension(name=name) for name in dimensions],
        metrics=[da.Metric(name="eventCount")],
        minute_ranges=[da.MinuteRange(start_minutes_ago=oldest, end_minutes_ago=0)],
        dimension_filter=only("streamId", "2000"),
    )


def only(name: str, value: str) -> da.FilterExpression:
    return da.FilterExpression(filter=da.Filter(field_name=name, string_filter=da.Filter.StringFilter(value=value)))


async def test_the_live_report_counts_what_arrived_by_name_and_minute(caller: Caller) -> None:
    await caller.send({"name": "cluster"})
    caller.clock.now += 120
    await caller.send({"name": "host_count"}, {"name": "host_count"}, {"name": "_bad"})
    report = parsed((await caller.realtime(live("eventName"))).content, da.RunRealtimeReportResponse)
    assert rows(report) == [(["cluster"], ["1"]), (["host_count"], ["2"])]
    assert report.row_count == 2
    report = parsed((await caller.realtime(live("eventName", oldest=1))).content, da.RunRealtimeReportResponse)
    assert rows(report) == [(["host_count"], ["2"])]
    caller.clock.now += 29 * 60
    report = parsed((await caller.realtime(live("eventName"))).content, da.RunRealtimeReportResponse)
    assert rows(report) == [(["host_count"], ["2"])]
    assert refusal((await caller.realtime(live("customEvent:module"))).content)[0].code == 400


async def test_a_wrong_secret_is_swallowed_and_not_counted(caller: Caller) -> None:
    await caller.send({"name": "cluster"}, secret="wrong")
    await caller.send({"name": "cluster"}, secret="any", stream="G-NEIGHBOUR")
    assert not rows(parsed((await caller.realtime(live("eventName"))).content, da.RunRealtimeReportResponse))
    swallowed, other = caller.emulator.events
    assert [reason.partition(":")[0] for reason in swallowed.reasons] == ["WRONG_SECRET"]
    assert other.accepted
    debug = caller.emulator.url.replace("/mp/", "/debug/mp/")
    body = {"client_id": "1.2", "events": [{"name": "cluster", "params": {}}]}
    answer = await caller.client.post(f"{debug}?measurement_id=G-EMULATOR&api_secret=wrong", json=body)
    assert answer.json() == {"validationMessages": []}  # as Google's validation server, which does not look at it


def module_report(**fields: Any) -> da.RunReportRequest:
    group = da.FilterExpressionList(expressions=[only("eventName", "module_with_opt"), only("streamId", "2000")])
    whole = {
        "dimensions": [da.Dimension(name="customEvent:module")],
        "metrics": [da.Metric(name="eventCount")],
        "date_ranges": [da.DateRange(start_date="28daysAgo", end_date="today")],
        "dimension_filter": da.FilterExpression(and_group=group),
    }
    return da.RunReportRequest(**{**whole, **fields})


async def test_a_report_shows_registered_parameters_from_their_registration_on(caller: Caller) -> None:
    def module(name: str) -> dict[str, Any]:
        return {"name": "module_with_opt", "params": {"module": name}}

    await caller.send(module("mod_old"))
    caller.clock.now += 1
    assert "customEvent:module is not a valid dimension" in (await caller.report(module_report())).text
    await define(caller, "module")
    await caller.send(module("mod_roster"), module("mod_mam"), module("mod_mam"), {"name": "cluster"})
    report = parsed((await caller.report(module_report())).content, da.RunReportResponse)
    assert rows(report) == [(["(not set)"], ["1"]), (["mod_roster"], ["1"]), (["mod_mam"], ["2"])]
    page = module_report(offset=1, limit=1)
    assert rows(parsed((await caller.report(page)).content, da.RunReportResponse)) == rows(report)[1:2]
    minutes = module_report(dimensions=[da.Dimension(name="dateHourMinute")])
    assert rows(parsed((await caller.report(minutes)).content, da.RunReportResponse)) == [(["202506151506"], ["4"])]
    past = module_report(date_ranges=[da.DateRange(start_date="7daysAgo", end_date="2025-06-14")])
    assert not rows(parsed((await caller.report(past)).content, da.RunReportResponse))
    assert refusal((await caller.report(module_report(limit=300_000))).content)[0].code == 400


async def test_the_data_manager_s_events_count_like_those_of_the_measurement_protocol(caller: Caller) -> None:
    body = ingest(event(conversion_value=3.0), event("cluster", event_location=dm.EventLocation(region_code="DE")))
    answer = parsed((await caller.ask("POST", "/v1/events:ingest", body)).content, dm.IngestEventsResponse)
    assert answer.request_id
    assert not answer.field_warnings
    first, second = caller.emulator.events
    assert (first.name, first.params, first.accepted) == ("host_count", {"session_id": "1", "value": 3.0}, True)
    assert (second.timestamp_micros, second.measurement_id) == (int(NOW * 1e6), "G-EMULATOR")


async def test_one_bad_event_fails_the_whole_request(caller: Caller) -> None:
    long = dm.EventParameter(parameter_name="module", value="x" * 101)
    body = ingest(event(), event(additional_event_parameters=[dm.EventParameter(parameter_name="a", value="1"), long]))
    status, (info, bad) = refusal((await caller.ask("POST", "/v1/events:ingest", body)).content)
    assert (status.code, info.domain) == (400, "datamanager.googleapis.com")
    assert [(each.field, each.reason) for each in bad.field_violations] == [
        ("events.events[1].additional_event_parameters[1].value", "FIELD_VALUE_TOO_LONG")
    ]
    assert caller.emulator.events == []


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"event_name": "session_start"}, "event_name", "INVALID_EVENT_NAME"),
        ({"event_name": ""}, "event_name", "REQUIRED_FIELD_MISSING"),
        ({"event_timestamp": None}, "event_timestamp", "REQUIRED_FIELD_MISSING"),
        ({"event_timestamp": datetime.fromtimestamp(NOW + 61, UTC)}, "event_timestamp", "EVENT_TIME_INVALID"),
        ({"event_source": None}, "event_source", "REQUIRED_FIELD_MISSING"),
        ({"event_source": dm.EventSource.APP}, "event_source", "EVENT_SOURCE_AND_DESTINATION_MISMATCH"),
        ({"client_id": ""}, "client_id", "NO_IDENTIFIERS_PROVIDED"),
        (
            {"additional_event_parameters": [dm.EventParameter(parameter_name="value", value="1")]},
            "additional_event_parameters[0].parameter_name",
            "RESERVED_NAME_USED",
        ),
        (
            {"additional_event_parameters": [dm.EventParameter(parameter_name=f"p{n}", value="1") for n in range(26)]},
            "additional_event_parameters",
            "TOO_MANY_ELEMENTS",
        ),
    ],
)
async def test_a_violation_names_the_field_and_the_reason(
    caller: Caller, fields: dict[str, Any], field: str, reason: str
) -> None:
    assert reason in dm.ErrorReason.__members__
    answer = await caller.ask("POST", "/v1/events:ingest", ingest(event(**fields)))
    _, (_, bad) = refusal(answer.content)
    assert [(each.field, each.reason) for each in bad.field_violations] == [(f"events.events[0].{field}", reason)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ingest(), "REQUIRED_FIELD_MISSING"),
        (ingest(*[event()] * 2001), "TOO_MANY_EVENTS"),
        (ingest(event(), measurement_id="G-OTHER"), "INVALID_DESTINATION"),
    ],
)
async def test_a_request_as_a_whole_can_be_refused(caller: Caller, body: dict[str, Any], reason: str) -> None:
    _, (_, bad) = refusal((await caller.ask("POST", "/v1/events:ingest", body)).content)
    assert [each.reason for each in bad.field_violations] == [reason]


async def test_what_only_is_to_be_validated_is_not_taken(caller: Caller) -> None:
    answer = await caller.ask("POST", "/v1/events:ingest", ingest(event(client_id="abc"), validate_only=True))
    (warning,) = parsed(answer.content, dm.IngestEventsResponse).field_warnings
    assert warning.reason is dm.WarningReason.WARNING_REASON_INVALID_CLIENT_ID
    assert warning.field == "events.events[0].client_id"
    assert caller.emulator.events == []
    status = await caller.ask("GET", f"/v1/requestStatus:retrieve?requestId={answer.json()['requestId']}")
    _, (bad,) = refusal(status.content)
    assert [each.reason for each in bad.field_violations] == ["INVALID_REQUEST_ID"]


@pytest.mark.parametrize(("old", "state"), [(0, "SUCCESS"), (1, "PARTIAL_SUCCESS"), (2, "FAILED")])
async def test_what_became_of_a_request_is_known_when_it_was_processed(caller: Caller, old: int, state: str) -> None:
    before = datetime.fromtimestamp(NOW - 73 * 3600, UTC)
    body = ingest(*[event(event_timestamp=before)] * old, *[event()] * (2 - old))
    request_id = (await caller.ask("POST", "/v1/events:ingest", body)).json()["requestId"]

    async def status() -> Any:
        answer = await caller.ask("GET", f"/v1/requestStatus:retrieve?requestId={request_id}")
        (one,) = parsed(answer.content, dm.RetrieveRequestStatusResponse).request_status_per_destination
        return one

    assert (await status()).request_status.name == "PROCESSING"
    caller.clock.now += 1800
    one = await status()
    assert (one.request_status.name, one.events_ingestion_status.record_count) == (state, 2)
    counted = {each.reason.name: each.record_count for each in one.error_info.error_counts}
    assert counted == ({"PROCESSING_ERROR_REASON_EVENT_TOO_OLD": old} if old else {})


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("400", 400, None),
        ("401", 401, "ACCESS_TOKEN_EXPIRED"),
        ("403", 403, None),
        ("disabled", 403, "SERVICE_DISABLED"),
        ("404", 404, None),
        ("409", 409, None),
        ("429:retry-after=7", 429, "RATE_LIMIT_EXCEEDED"),
        ("500", 500, None),
        ("503", 503, None),
    ],
)
async def test_refusals_on_demand_have_google_s_form(caller: Caller, fault: str, code: int, reason: str | None) -> None:
    caller.emulator.fail = f"admin:{fault}*1; 500"
    answer = await caller.ask("GET", "/v1beta/accountSummaries")
    assert (answer.status_code, answer.headers.get("retry-after")) == (code, "7" if "7" in fault else None)
    status, details = refusal(answer.content)
    assert status.code == code
    assert [each.reason for each in details if hasattr(each, "reason")] == [reason] * (reason is not None)
    assert caller.emulator.fail == "500"  # which is for the Measurement Protocol
    # A token that was refused stays so.
    assert (await caller.ask("GET", "/v1beta/accountSummaries")).status_code == (401 if code == 401 else 200)


async def test_what_is_dropped_is_not_done(caller: Caller) -> None:
    caller.emulator.fail = "admin:drop*1; data-manager:cut*1"
    with pytest.raises(httpx.RemoteProtocolError):
        await define(caller, "module")
    assert (await define(caller, "module")).status_code == 200
    with pytest.raises(httpx.RemoteProtocolError):
        await caller.ask("POST", "/v1/events:ingest", ingest(event()))
    assert [each.name for each in caller.emulator.events] == ["host_count"]


async def test_requests_to_google_s_apis_are_recorded_without_their_token(caller: Caller) -> None:
    await caller.ask("GET", f"{HOME}/customMetrics")
    asked = caller.emulator.requests[-1]
    assert (asked.method, asked.path, asked.answer) == ("GET", f"{HOME}/customMetrics", "200")
    assert caller.token not in repr(caller.emulator.requests)
