"""What an answer means for a batch, and how long it asks to be left alone."""

from email.utils import formatdate

import pytest

from bridge.delivery.destination import Answer
from bridge.delivery.errors import SendError
from bridge.delivery.retry import check, retry_after
from bridge.state.queue import Outcome
from tests.delivery.support import NOW


def judged(status: int, body: bytes = b"", **headers: str) -> Outcome:
    """What becomes of a batch that is answered so."""
    try:
        check(Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body), "peer", NOW)
    except SendError as error:
        return Outcome.REJECTED if error.final else Outcome.RETRY
    return Outcome.DELIVERED


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_has_arrived(status: int) -> None:
    assert judged(status) is Outcome.DELIVERED
    assert judged(status, b"{}", content_type="application/json") is Outcome.DELIVERED
    assert judged(status, b"GIF89a", content_type="image/gif") is Outcome.DELIVERED
    assert judged(status, b"ok") is Outcome.DELIVERED


@pytest.mark.parametrize("body", [b"", b"<html>log in</html>"])
def test_a_web_page_is_a_captive_portal_and_not_ga4(body: bytes) -> None:
    assert judged(200, body, content_type="text/html; charset=utf-8") is Outcome.RETRY
    assert judged(200, b"\n <!DOCTYPE html>") is Outcome.RETRY


@pytest.mark.parametrize("status", [301, 302, 307, 407, 408, 429, 500, 501, 502, 503, 504, 599])
def test_what_passes_by_itself_is_tried_again(status: int) -> None:
    assert judged(status) is Outcome.RETRY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 451])
def test_every_other_4xx_is_final(status: int) -> None:
    assert judged(status) is Outcome.REJECTED


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("999999999999999999999999", 3600),
        (formatdate(NOW / 1e6 + 90, usegmt=True), 90),
        (formatdate(NOW / 1e6 + 90).replace("+0000", "-0000"), 90),
        (formatdate(NOW / 1e6 - 90, usegmt=True), 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 3600),
        ("Thu, 01 Jan 99999999999 00:00:00 GMT", 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("²", 0),
        ("Wed, 99 Oct 2099 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float) -> None:
    assert retry_after(Answer(429, {"retry-after": text}), NOW) == seconds


def test_no_header_asks_for_nothing() -> None:
    assert retry_after(Answer(429, {}), NOW) == 0
