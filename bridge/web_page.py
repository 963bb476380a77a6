"""Pages of the bridge: one HTML file each without outside resources, in one style, under a strict policy."""

from __future__ import annotations

import re
import secrets
from importlib.resources import files

from bridge.http_server import HttpResponse


def assembled(package: str, **marks: str) -> str:
    """`page.html` of a package, with what stands for its marks.

    Args:
        package: where the page is. STYLE and SCRIPT in it become what all pages have in common.
        marks: its own, with the text for each; what a text has of marks stays as it is.
    """
    common = {mark: _text("bridge", file) for mark, file in (("STYLE", "web_page.css"), ("SCRIPT", "web_page.js"))}
    texts = common | marks
    return re.sub("|".join(texts), lambda mark: texts[mark[0]], _text(package, "page.html"))


def response(package: str, token: str = "") -> HttpResponse:
    """`page.html` of a package, under a policy that lets nothing run or load but what is in it.

    Args:
        package: where the page is. NONCE in it becomes the nonce of its style and script, TOKEN the token.
        token: what the page shows when it asks for something to be done.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    text = assembled(package, NONCE=nonce, TOKEN=token)
    headers = (("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"))
    return HttpResponse(200, text.encode(), "text/html; charset=utf-8", headers)


def _text(package: str, file: str) -> str:
    return files(package).joinpath(file).read_text(encoding="utf-8")
