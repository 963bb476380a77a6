"""The page at `/`: one HTML file without outside resources, that reads /emulator/events every second."""

from __future__ import annotations

import secrets
from importlib.resources import files

from bridge.http_server import Response


def response() -> Response:
    """The page, under a policy that lets nothing run or load but what is in it."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    text = files(__package__).joinpath("page.html").read_text(encoding="utf-8").replace("NONCE", nonce)
    headers = (("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"))
    return Response(200, text.encode(), "text/html; charset=utf-8", headers)
