"""JSON for programs: what every `--format json` prints; docs/json.md explains each field.

A field is added without a new `SCHEMA_VERSION`; one that is removed or means something else makes a new one. A document
is made of the values that the program has anyway: whatever msgspec can read the annotations of.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bridge.times import rfc3339

SCHEMA_VERSION: Final = 1


class Document(msgspec.Struct, frozen=True, tag_field="schema_version", tag=SCHEMA_VERSION):
    """The root of a document; every one has `schema_version`."""

    def to_json(self) -> bytes:
        """The document on one line; each `Time` in it is RFC 3339."""
        return msgspec.json.encode(self, enc_hook=rfc3339)


def json_schema(document: type[Document]) -> dict[str, object]:
    """The JSON Schema (2020-12) of a document; every field is always there, so there are no defaults."""
    schema = msgspec.json.schema(document, schema_hook=lambda _: {"type": "string", "format": "date-time"})
    for shape in schema["$defs"].values():
        fields = shape.get("properties", {})
        for field in fields.values():
            field.pop("default", None)
        shape["required"] = list(fields)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
