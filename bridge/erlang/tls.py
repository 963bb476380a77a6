"""TLS of the distribution (`-proto_dist inet_tls`): what the client side needs, as values and as an SSL context."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridge.erlang.errors import ErlangError

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from bridge.secret import Secret


class TlsSetupError(ErlangError):
    """The TLS files of the configuration cannot be used."""


class TlsOptions(NamedTuple):
    """Files in PEM form, and what is verified of the peer."""

    cacertfile: Path | None = None
    """The CAs that sign the nodes' certificates; None takes the system's."""
    certfile: Path | None = None
    keyfile: Path | None = None
    verify: bool = True
    check_hostname: bool = True
    """Whether the certificate has to name the host part of the node's name."""
    password: Secret | None = None
    """Of an encrypted key."""


def client_context(options: TlsOptions) -> ssl.SSLContext:
    """The context for connections that we make: TLS 1.2 or 1.3, the peer verified unless told otherwise.

    Raises:
        TlsSetupError: a file is missing or not PEM, or key and certificate do not belong together.
    """
    import ssl  # noqa: PLC0415 - only TLS clusters pay for it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = options.verify and options.check_hostname
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED if options.verify else ssl.CERT_NONE
    password = options.password.reveal() if options.password else ""  # never None: OpenSSL would ask the terminal
    try:
        if options.cacertfile:
            context.load_verify_locations(options.cacertfile)
        elif options.verify:
            context.load_default_certs()
        if options.certfile:
            context.load_cert_chain(options.certfile, options.keyfile, lambda: password)
    except (OSError, ValueError) as error:
        files = ", ".join(str(path) for path in (options.cacertfile, options.certfile, options.keyfile) if path)
        reason = getattr(error, "strerror", None) or error
        what = f"TLS cannot be set up from {files}: {reason}"
        raise TlsSetupError(what, "PEM files are needed that belong together") from error
    return context
