"""Every key of the configuration: its type, default and meaning. All else (checks, example, schema) derives from here.

MongooseIM's own section keeps its names, units (milliseconds) and meaning, so the documented example works
unchanged, also inside a whole mongooseim.toml. Times in `[bridge]` are milliseconds too, as everywhere there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.secret import Secret  # noqa: TC001 - msgspec reads the annotations

GA4_ENDPOINT = "https://www.google-analytics.com/mp/collect"


def Doc(text: str) -> Meta:  # noqa: N802 - reads as part of the annotation
    """What a key means, in the words of the example, the schema and the documentation."""
    return Meta(description=text)


Milliseconds = Annotated[int, Meta(ge=1, le=31_536_000_000)]
FromNow = Annotated[int, Meta(ge=0, le=31_536_000_000)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Path = Annotated[str, Meta(min_length=1)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Region = Annotated[str, Meta(pattern="^[A-Z]{2}-[A-Z0-9]{1,3}$")]
City = Annotated[str, Meta(min_length=1, max_length=100)]
MeasurementId = Annotated[str, Meta(pattern="^G-[A-Z0-9]{4,20}$")]


class TrackingId(Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's own GA4 property, as MongooseIM's documentation has it."""

    id: Annotated[MeasurementId | None, Doc("Measurement ID of the property, G-XXXX.")] = None
    secret: Annotated[Secret | None, Doc("API secret of the property; a file is safer.")] = None
    secret_file: Annotated[Path | None, Doc("File that holds the API secret, mode 0400 or 0600.")] = None


class ServiceSection(Struct, frozen=True, forbid_unknown_fields=True):
    """`[services.service_mongoose_system_metrics]`, MongooseIM's own section."""

    initial_report: Annotated[FromNow, Doc("Time from the start to the first report, in ms.")] = 300_000
    periodic_report: Annotated[Milliseconds, Doc("Time between reports, in ms.")] = 10_800_000
    report: Annotated[
        bool | UnsetType,
        Doc("Consent: true reports silently, false sends nothing, absent reports with a notice."),
    ] = UNSET
    tracking_id: TrackingId = TrackingId()


class Destination(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[bridge.destinations]]`: a further GA4 property, a relay, the EU endpoint."""

    measurement_id: Annotated[MeasurementId, Doc("Measurement ID of the property, G-XXXX.")]
    api_secret: Annotated[Secret | None, Doc("API secret; a file is safer.")] = None
    api_secret_file: Annotated[Path | None, Doc("File that holds the API secret.")] = None
    api_secret_env: Annotated[Path | None, Doc("Environment variable that holds the API secret.")] = None
    endpoint: Annotated[str, Doc("Where to post: GA4's global or EU endpoint, or a relay.")] = GA4_ENDPOINT
    allow_plain_http: Annotated[bool, Doc("Send the API secret and the events unencrypted to an http:// endpoint.")] = (
        False
    )


class Location(Struct, frozen=True, forbid_unknown_fields=True):
    """`[bridge.user_location]`: what GA4 is told of geography; nothing unless set."""

    country: Annotated[Country | None, Doc("ISO 3166-1 country, as in PL.")] = None
    region: Annotated[Region | None, Doc("ISO 3166-2 region, as in PL-12.")] = None
    city: Annotated[City | None, Doc("City name.")] = None


class Tls(Struct, frozen=True, forbid_unknown_fields=True):
    """`[bridge.tls]`: TLS of the Erlang distribution (-proto_dist inet_tls)."""

    cacertfile: Annotated[Path | None, Doc("CA certificates that sign the nodes' certificates (PEM).")] = None
    certfile: Annotated[Path | None, Doc("The bridge's client certificate (PEM).")] = None
    keyfile: Annotated[Path | None, Doc("The key of the client certificate (PEM).")] = None
    verify: Annotated[bool, Doc("Verify the nodes' certificates.")] = True
    check_hostname: Annotated[bool, Doc("Check the host part of the node name as well.")] = True
    optfile: Annotated[Path | None, Doc("An ssl_dist_optfile; its client section is used instead.")] = None


class Health(Struct, frozen=True, forbid_unknown_fields=True):
    """`[bridge.health]`: the HTTP listener of `run`, off unless a port is set."""

    port: Annotated[Port | None, Doc("Port of the health listener; off when absent.")] = None
    host: Annotated[str, Doc("Address of the health listener.")] = "127.0.0.1"


class BridgeSection(Struct, frozen=True, forbid_unknown_fields=True):
    """`[bridge]`: everything that MongooseIM's own section does not know."""

    report: Annotated[
        bool | UnsetType,
        Doc("Consent for the bridge alone; beats report of MongooseIM's section, which its own reporter reads too."),
    ] = UNSET
    nodes: Annotated[
        tuple[str, ...], Meta(min_length=1), Doc("Where to enter the cluster (name@host or name@host:port).")
    ] = ("mongooseim@localhost",)
    name: Annotated[str | None, Doc("Own node name of `run`; mongooseim_bridge at this host by default.")] = None
    cookie_file: Annotated[Path | None, Doc("File with the cluster's cookie, mode 0400, 0600 or 0440.")] = None
    cookie: Annotated[Secret | None, Doc("The cookie itself; from the environment only.")] = None
    vm_args: Annotated[
        Path | None, Doc("MongooseIM's vm.args: cookie, name style; vm.dist.args beside it is read too.")
    ] = None
    epmd_port: Annotated[Port | None, Doc("Port of EPMD; ERL_EPMD_PORT or 4369 by default.")] = None
    state_dir: Annotated[Path, Doc("Queue, history and Client ID; STATE_DIRECTORY of systemd is taken.")] = (
        "/var/lib/mongooseim-bridge"
    )
    log_dir: Annotated[Path, Doc("Where system_metrics_report.json goes; LOGS_DIRECTORY of systemd is taken.")] = (
        "/var/log/mongooseim"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Doc("Least severity that is logged.")] = "info"
    log_format: Annotated[Literal["text", "json"], Doc("Log lines for people or for collectors.")] = "text"
    collect_timeout: Annotated[Milliseconds, Doc("Deadline of each node's answer, in ms.")] = 10_000
    aggregate_modules: Annotated[
        bool, Doc("One event per distinct module with a host_types count, for large installations.")
    ] = False
    deliver_timeout: Annotated[
        Milliseconds, Doc("How long `report` goes on trying before it leaves the rest queued, in ms.")
    ] = 20_000
    ambiguous_timeout: Annotated[
        Literal["retry", "drop"],
        Doc("After a read time-out GA4 may have counted: send again, or give up."),
    ] = "retry"
    ca_file: Annotated[Path | None, Doc("CA certificates for HTTPS instead of the system's (PEM).")] = None
    proxy: Annotated[
        Secret | None, Doc("HTTP proxy, user and password included; HTTPS_PROXY and NO_PROXY are taken otherwise.")
    ] = None
    queue_max_batches: Annotated[int, Meta(ge=1), Doc("Most batches kept in the queue; the oldest go first.")] = 100_000
    queue_max_bytes: Annotated[int, Meta(ge=130_000), Doc("Most bytes kept in the queue; the oldest go first.")] = (
        200_000_000
    )
    history_days: Annotated[int, Meta(ge=1, le=3650), Doc("How long past reports can be shown.")] = 90
    missing_days: Annotated[
        int, Meta(ge=1, le=3650), Doc("How long a node that no longer answers is shown as missing.")
    ] = 7
    tls: Tls | UnsetType = UNSET
    user_location: Location = Location()
    destinations: tuple[Destination, ...] = ()
    health: Health = Health()


class Settings(Struct, frozen=True):
    """The whole configuration, checked."""

    service: ServiceSection = ServiceSection()
    bridge: BridgeSection = BridgeSection()


SECTIONS: dict[str, type[Struct]] = {
    "services.service_mongoose_system_metrics": ServiceSection,
    "bridge": BridgeSection,
}

ENVIRONMENT_ONLY = {"bridge.cookie": "bridge.cookie_file"}
"""Keys that a file must not hold, and the one to use there: the cookie opens the whole cluster."""
