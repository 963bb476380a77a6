"""What reaches the handlers of the root logger, as in production, with every logger at DEBUG."""

import io
import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    for name in ("", "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "bridge", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    root.addHandler(handler)
    yield text
    root.removeHandler(handler)
