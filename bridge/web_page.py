"""Pages of the bridge: one HTML file each without outside resources, in one style, under a strict policy."""

from __future__ import annotations

import secrets
from importlib.resources import files

from bridge.http_server import HttpResponse


def response(package: str, token: str = "") -> HttpResponse:
    """`page.html` of a package, under a policy that lets nothing run or load but what is in it.

    Args:
        package: where the page is. NONCE in it becomes the nonce of its style and script, STYLE and SCRIPT what all
            pages have in common, TOKEN the token.
        token: what the page shows when it asks for something to be done.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    text = files(package).joinpath("page.html").read_text(encoding="utf-8")
    for mark, file in (("STYLE\n", "web_page.css"), ("SCRIPT\n", "web_page.js")):
        text = text.replace(mark, files("bridge").joinpath(file).read_text(encoding="utf-8"))
    text = text.replace("NONCE", nonce).replace("TOKEN", token)
    headers = (("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"))
    return HttpResponse(200, text.encode(), "text/html; charset=utf-8", headers)
