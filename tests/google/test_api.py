"""Requests are what Google's own types read, answers are made of them, and every refusal is a line with its remedy."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from google.analytics import admin_v1beta as admin_types
from google.analytics import data_v1beta as data_types

from bridge.delivery.sender import Sender
from bridge.google import admin, data, errors
from bridge.google.api import Api
from bridge.google.credentials import EDIT_SCOPE, READ_SCOPE, Credentials
from bridge.google.definitions import needed
from bridge.google.find import find, property_ids
from tests.delivery.support import tcp_server, unused_port
from tests.google.support import EMAIL, answer
from tests.support.google_types import parsed, written

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from tests.delivery.support import TcpServer
    from tests.google.support import ServiceAccount

TOKEN = answer("200 OK", {"access_token": "token", "expires_in": 3599, "token_type": "Bearer"})
PROPERTY = "123456789"


def made_of(message: Any) -> bytes:
    """An answer with a message of Google's own."""
    return answer("200 OK", written(message))


def body_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def target_of(request: bytes) -> tuple[str, dict[str, str]]:
    """Path and query."""
    parts = urlsplit(request.split(b" ", 2)[1].decode())
    return parts.path, dict(parse_qsl(parts.query))


@asynccontextmanager
async def google(
    account: ServiceAccount, *answers: bytes, scope: str = READ_SCOPE
) -> AsyncIterator[tuple[Api, TcpServer]]:
    """Answers the requests in turn, the last one again and again; requests for tokens beside."""
    left = list(answers)

    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await server.read_request(reader)
        if request.startswith(b"POST /token "):
            writer.write(TOKEN)
        else:
            asked.append(request)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    asked: list[bytes] = []
    async with tcp_server(handle) as server, Sender() as sender:
        credentials = Credentials(sender, account.file, f"http://127.0.0.1:{server.port}")
        server.asked = asked  # type: ignore[attr-defined]
        yield Api(sender, credentials, scope), server


def asked(server: TcpServer) -> list[bytes]:
    found: list[bytes] = server.asked  # type: ignore[attr-defined]
    return found


async def test_definitions_of_both_kinds_are_read_from_every_page(account: ServiceAccount) -> None:
    def dimension(name: str, scope: str = "EVENT") -> admin_types.CustomDimension:
        return admin_types.CustomDimension(parameter_name=name, display_name=name.title(), scope=scope)

    first = admin_types.ListCustomDimensionsResponse(custom_dimensions=[dimension("module")], next_page_token="more")
    last = admin_types.ListCustomDimensionsResponse(custom_dimensions=[dimension("a"), dimension("b", "USER")])
    metric = admin_types.CustomMetric(
        parameter_name="total", display_name="Total", scope="EVENT", measurement_unit="STANDARD"
    )
    metrics = admin_types.ListCustomMetricsResponse(custom_metrics=[metric])
    async with google(account, made_of(first), made_of(last), made_of(metrics)) as (api, server):
        found = await admin.definitions(api, PROPERTY)
    assert [(one.kind, one.parameter, one.display_name, one.unit) for one in found] == [
        ("dimension", "module", "Module", None),
        ("dimension", "a", "A", None),
        ("metric", "total", "Total", "STANDARD"),
    ]
    targets = [target_of(request) for request in asked(server)]
    assert [path for path, _ in targets] == [
        *[f"/v1beta/properties/{PROPERTY}/customDimensions"] * 2,
        f"/v1beta/properties/{PROPERTY}/customMetrics",
    ]
    second = parsed(
        json.dumps({"pageSize": int(targets[1][1]["pageSize"]), "pageToken": targets[1][1]["pageToken"]}),
        admin_types.ListCustomDimensionsRequest,
    )
    assert (second.page_size, second.page_token) == (200, "more")


async def test_a_definition_is_created_as_the_admin_api_takes_it(account: ServiceAccount) -> None:
    done = made_of(admin_types.CustomDimension(parameter_name="module"))
    async with google(account, done, scope=EDIT_SCOPE) as (api, server):
        for one in needed():
            await admin.create(api, PROPERTY, one)
    for one, request in zip(needed(), asked(server), strict=True):
        path, _ = target_of(request)
        assert request.startswith(b"POST ")
        assert b"\r\nauthorization: Bearer token\r\n" in request
        if one.kind == "dimension":
            assert path.endswith("/customDimensions")
            sent = parsed(body_of(request), admin_types.CustomDimension)
            assert sent.scope == admin_types.CustomDimension.DimensionScope.EVENT
        else:
            assert path.endswith("/customMetrics")
            sent = parsed(body_of(request), admin_types.CustomMetric)
            assert admin_types.CustomMetric.MeasurementUnit(sent.measurement_unit).name == one.unit
        assert (sent.parameter_name, sent.display_name, sent.description) == (
            one.parameter,
            one.display_name,
            one.description,
        )


async def test_retention_is_read(account: ServiceAccount) -> None:
    settings = admin_types.DataRetentionSettings(user_data_retention="FOURTEEN_MONTHS")
    async with google(account, made_of(settings)) as (api, _):
        assert await admin.user_data_retention(api, PROPERTY) == "FOURTEEN_MONTHS"


def summaries(*properties: str) -> bytes:
    each = [admin_types.PropertySummary(property=f"properties/{one}", display_name=f"Site {one}") for one in properties]
    account = admin_types.AccountSummary(account="accounts/1", display_name="Company", property_summaries=each)
    return made_of(admin_types.ListAccountSummariesResponse(account_summaries=[account]))


def streams(property_id: str, *measurement_ids: str) -> bytes:
    web = [
        admin_types.DataStream(
            name=f"properties/{property_id}/dataStreams/{number}",
            type_="WEB_DATA_STREAM",
            web_stream_data=admin_types.DataStream.WebStreamData(measurement_id=one),
        )
        for number, one in enumerate(measurement_ids, 70)
    ]
    app = admin_types.DataStream(name=f"properties/{property_id}/dataStreams/9", type_="ANDROID_APP_DATA_STREAM")
    return made_of(admin_types.ListDataStreamsResponse(data_streams=[app, *web]))


async def test_a_measurement_id_is_found_by_walking_through_the_accounts(account: ServiceAccount) -> None:
    answers = (summaries("1000", "2000", "3000"), streams("1000", "G-OTHER"), streams("2000", "G-X", "G-AAAA1"))
    async with google(account, *answers) as (api, server):
        (place,) = await find(api, ["G-AAAA1"])
        assert len(asked(server)) == 3, "the walk ends where all are found"
    assert place.stream == admin.Stream("G-AAAA1", "71", "2000")
    assert place.property == admin.Property("2000", "Site 2000", "Company")


async def test_a_named_property_saves_the_walk(account: ServiceAccount) -> None:
    async with google(account, streams("2000", "G-AAAA1")) as (api, server):
        (place,) = await find(api, ["G-AAAA1"], "2000")
        assert place.stream
        assert len(asked(server)) == 1
        assert await property_ids(api, "5", ["G-AAAA1"]) == ("5",)


async def test_a_measurement_id_of_nobodys_is_not_found(account: ServiceAccount) -> None:
    async with google(account, summaries("1000"), streams("1000", "G-OTHER")) as (api, _):
        with pytest.raises(errors.GoogleError, match="has a web stream G-AAAA1") as caught:
            await property_ids(api, None, ["G-AAAA1"])
    assert EMAIL in caught.value.remedy


async def test_the_live_report_counts_names_of_one_stream(account: ServiceAccount) -> None:
    rows = [
        data_types.Row(
            dimension_values=[data_types.DimensionValue(value=name)],
            metric_values=[data_types.MetricValue(value=str(count))],
        )
        for name, count in (("host_count", 1), ("module_with_opt", 31))
    ]
    async with google(account, made_of(data_types.RunRealtimeReportResponse(rows=rows, row_count=2))) as (api, server):
        assert await data.live(api, PROPERTY, "71") == Counter({"host_count": 1, "module_with_opt": 31})
    (request,) = asked(server)
    assert target_of(request)[0] == f"/v1beta/properties/{PROPERTY}:runRealtimeReport"
    sent = parsed(body_of(request), data_types.RunRealtimeReportRequest)
    assert sent.minute_ranges[0].start_minutes_ago == 29, "a standard property has 30 minutes"
    assert sent.dimension_filter.filter.string_filter.value == "71"


async def test_a_report_is_read_to_its_last_row_with_its_caveats(account: ServiceAccount) -> None:
    def page(*modules: str) -> bytes:
        rows = [
            data_types.Row(
                dimension_values=[data_types.DimensionValue(value=module)],
                metric_values=[data_types.MetricValue(value="5")],
            )
            for module in modules
        ]
        metadata = data_types.ResponseMetaData(time_zone="Europe/Warsaw", data_loss_from_other_row=True)
        return made_of(data_types.RunReportResponse(rows=rows, row_count=3, metadata=metadata))

    async with google(account, page("a", "b"), page("c")) as (api, server):
        only = {"eventName": "module_with_opt", "streamId": "71"}
        found = await data.counted(api, PROPERTY, ["customEvent:module"], days=7, only=only)
    assert found.by == {("a",): 5, ("b",): 5, ("c",): 5}
    assert found.time_zone == "Europe/Warsaw"
    assert len(found.caveats) == 1
    sent = [parsed(body_of(request), data_types.RunReportRequest) for request in asked(server)]
    assert [one.offset for one in sent] == [0, 2]
    assert [each.filter.field_name for each in sent[0].dimension_filter.and_group.expressions] == [*only]
    assert (sent[0].date_ranges[0].start_date, sent[0].date_ranges[0].end_date) == ("7daysAgo", "today")


def refusal(status: str, message: str = "No.", **info: Any) -> bytes:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}] if info else []
    return answer(status, {"error": {"code": int(status[:3]), "message": message, "details": details}})


REFUSALS: list[tuple[bytes, type[Exception], str]] = [
    (
        refusal(
            "403 Forbidden",
            reason="SERVICE_DISABLED",
            metadata={"activationUrl": "https://console.example/on", "service": "analyticsadmin.googleapis.com"},
        ),
        errors.GoogleError,
        "switch it on at https://console.example/on",
    ),
    (refusal("403 Forbidden"), errors.GoogleError, f"add {EMAIL} as Viewer"),
    (refusal("404 Not Found"), errors.GoogleError, "is bridge.google.property_id right"),
    (
        refusal("403 Forbidden", reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT", metadata={}),
        errors.GoogleError,
        "gcloud auth application-default login --scopes=",
    ),
    (
        refusal("429 Too Many Requests", reason="RATE_LIMIT_EXCEEDED", metadata={"quota_limit": "PerMinute"}),
        errors.GoogleError,
        "in a minute",
    ),
    (
        answer("403 Forbidden", {"error": {"code": 403, "errors": [{"reason": "rateLimitExceeded"}]}}),
        errors.GoogleError,
        "in a minute",
    ),
    (refusal("401 Unauthorized"), errors.GoogleError, "disabled or deleted"),
    (refusal("409 Conflict"), errors.AlreadyThere, "exists already"),
    (refusal("400 Bad Request", "Field customEvent:x is not valid."), errors.BadRequest, "customEvent:x"),
    (refusal("503 Service Unavailable"), errors.GoogleError, "try again later"),
    (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<html", errors.GoogleError, "try again later"),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html", errors.GoogleError, "captive portal"),
]


@pytest.mark.parametrize(("said", "kind", "part"), REFUSALS, ids=[part for _, _, part in REFUSALS])
async def test_a_refusal_is_one_line_with_its_remedy(
    account: ServiceAccount, said: bytes, kind: type[Exception], part: str
) -> None:
    async with google(account, said) as (api, _):
        with pytest.raises(errors.GoogleError) as caught:
            await admin.user_data_retention(api, PROPERTY)
    assert type(caught.value) is kind
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Bearer" not in str(caught.value)


async def test_an_api_that_cannot_be_reached_is_told_by_its_cause(account: ServiceAccount) -> None:
    async with Sender() as sender:
        api = Api(sender, Credentials(sender, account.file, f"http://127.0.0.1:{unused_port()}"), READ_SCOPE)
        with pytest.raises(errors.GoogleError, match="cannot be connected to"):
            await admin.user_data_retention(api, PROPERTY)


async def test_changing_takes_another_role_than_reading(account: ServiceAccount) -> None:
    async with google(account, refusal("403 Forbidden"), scope=EDIT_SCOPE) as (api, _):
        with pytest.raises(errors.GoogleError, match="not change this property") as caught:
            await admin.create(api, PROPERTY, needed()[0])
    assert f"add {EMAIL} as Editor" in caught.value.remedy


async def test_a_token_that_expired_is_renewed_once_and_the_request_repeated(account: ServiceAccount) -> None:
    settings = admin_types.DataRetentionSettings(user_data_retention="TWO_MONTHS")
    async with google(account, refusal("401 Unauthorized"), made_of(settings)) as (api, server):
        assert await admin.user_data_retention(api, PROPERTY) == "TWO_MONTHS"
    assert len(server.requests) == 4, "two tokens, and the request twice"
