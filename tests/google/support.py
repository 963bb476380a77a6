"""A service account of the tests' own, and Google's answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EMAIL = "bridge@project.iam.gserviceaccount.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"


@dataclass(frozen=True)
class ServiceAccount:
    """Its key as Google's console gives it, and what Google keeps of it."""

    file: Path
    public_key: bytes


def service_account(file: Path) -> ServiceAccount:
    """Make a key and write it down."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "0123abcd",
        "private_key": private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "client_email": EMAIL,
        "token_uri": TOKEN_URI,
    }
    file.write_text(json.dumps(key))
    file.chmod(0o400)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return ServiceAccount(file, public)


def answer(status: str, body: Mapping[str, Any]) -> bytes:
    """A whole HTTP answer."""
    text = json.dumps(body).encode()
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status.encode(),
        len(text),
        text,
    )


def form(request: bytes) -> dict[str, str]:
    """The fields of a posted form."""
    return {name: values[0] for name, values in parse_qs(request.partition(b"\r\n\r\n")[2].decode()).items()}
