"""The service account that all tests share: making a key takes long."""

from __future__ import annotations

import pytest

from tests.google.support import ServiceAccount, service_account


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> ServiceAccount:
    return service_account(tmp_path_factory.mktemp("account") / "key.json")
