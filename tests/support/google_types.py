"""Google's own types for the wire forms of its APIs; JSON that has an unknown field or enum value is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    import proto

_DETAILS = {
    message.DESCRIPTOR.full_name: message for message in vars(error_details_pb2).values() if isinstance(message, type)
}


def parsed(body: bytes | str, kind: type[proto.Message]) -> Any:
    """A body as a value of one of Google's types."""
    message = kind()
    json_format.Parse(body, kind.pb(message), ignore_unknown_fields=False)
    return message


def written(message: proto.Message) -> dict[str, Any]:
    """One of Google's values as JSON for a REST call, as Google's own clients write it."""
    return json_format.MessageToDict(type(message).pb(message))


def refusal(body: bytes | str) -> tuple[status_pb2.Status, list[Any]]:
    """An error body: its code and message as google.rpc.Status, and its details as google.rpc's types."""
    error = json.loads(body)["error"]
    status = status_pb2.Status()
    json_format.ParseDict({name: error[name] for name in error if name != "status"}, status)
    details = []
    for detail in status.details:
        message = _DETAILS[detail.type_url.rpartition("/")[2]]()
        assert detail.Unpack(message)
        details.append(message)
    return status, details
