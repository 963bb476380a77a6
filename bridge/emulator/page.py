"""The page at `/`."""

from __future__ import annotations

from bridge.http_server import Response


def response() -> Response:
    """The page."""
    return Response(200, b"<!doctype html><title>GA4 emulator</title>", "text/html; charset=utf-8")
