"""What can go wrong between the bridge and Google's own APIs, apart from the way there (bridge.delivery.errors).

GoogleError
├── Unreachable           there was no answer
├── NotFound              no property has the stream
├── CredentialsError      credentials that cannot be used, or that Google refuses
│   └── NoCredentials     there are none, or nothing to use them with
└── Refused               an API says no
    ├── ApiDisabled       it is switched off in the project of the credentials
    ├── RoleMissing       the account may not do that with the property
    ├── ScopeMissing      the credentials were made for less
    ├── QuotaExhausted    too many requests
    ├── AlreadyThere      what was to be made exists
    └── BadRequest        what was asked makes no sense to it
        └── NotRegistered a custom definition is missing
"""

from __future__ import annotations

from bridge.errors import BridgeError, ExitCode


class GoogleError(BridgeError):
    """The root of the tree above."""

    exit_code = ExitCode.GOOGLE


class Unreachable(GoogleError):
    """There was no answer; its cause is a `SendError`."""


class NotFound(GoogleError):
    """No property that the credentials may see has the stream."""


class CredentialsError(GoogleError):
    """There is no access token to be had."""


class NoCredentials(CredentialsError):
    """There are no credentials, or nothing to use them with."""


class Refused(GoogleError):
    """An API answered, and said no."""


class ApiDisabled(Refused):
    """The API is switched off in the Cloud project of the credentials."""


class RoleMissing(Refused):
    """The account has not the role on the property; Google does not say whether there is such a property."""


class ScopeMissing(Refused):
    """The credentials were made for less than this."""


class QuotaExhausted(Refused):
    """Too many requests in a minute, an hour or a day."""


class AlreadyThere(Refused):
    """What was to be made exists."""


class BadRequest(Refused):
    """What was asked makes no sense to the API, as a name that is not registered."""


class NotRegistered(BadRequest):
    """A report needs a custom definition that the property has not."""

    def __init__(self, property_id: str) -> None:
        super().__init__(
            f"property {property_id} has no custom definitions for the parameters of modules",
            "run: mongooseim-bridge ga4 setup",
        )
