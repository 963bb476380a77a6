"""Every key of the configuration: its type, default and meaning, and an example. All else derives from here.

A new key is a field here and its row in docs/configuration.md: reading and checks, the variable, `config show`, the
commented example and the schema follow. MongooseIM's own section keeps its names, units (milliseconds) and meaning, so
the documented example works unchanged, also inside a whole mongooseim.toml. Times in `[bridge]` are milliseconds too.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.secret import Secret  # noqa: TC001 - msgspec reads the annotations

GA4_ENDPOINT: Final = "https://www.google-analytics.com/mp/collect"


def Doc(text: str, example: object = None) -> Meta:  # noqa: N802 - reads as part of the annotation
    """What a key means, in the words of the example, the schema and the documentation.

    Args:
        text: its meaning.
        example: what it may look like; a key with a default is shown with that.
    """
    return Meta(description=text, examples=None if example is None else [example])


Consent = bool | UnsetType
"""Unlike None, UNSET has no spelling: a consent that is there cannot be read as one that is not."""
Milliseconds = Annotated[int, Meta(ge=1, le=31_536_000_000)]
FromNow = Annotated[int, Meta(ge=0, le=31_536_000_000)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Path = Annotated[str, Meta(min_length=1)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Region = Annotated[str, Meta(pattern="^[A-Z]{2}-[A-Z0-9]{1,3}$")]
City = Annotated[str, Meta(min_length=1, max_length=100)]
MeasurementId = Annotated[str, Meta(pattern="^G-[A-Z0-9]{4,20}$")]
Nodes = Annotated[tuple[str, ...], Meta(min_length=1)]
ModuleNames = tuple[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,99}$")], ...]
PropertyId = Annotated[str, Meta(pattern="^[0-9]{4,20}$")]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table in which every key is known."""


class TrackingId(Section, frozen=True):
    """The operator's own GA4 property, as MongooseIM's documentation has it."""

    id: Annotated[MeasurementId | None, Doc("Measurement ID of the property, G-XXXX.", "G-XXXX")] = None
    secret: Annotated[Secret | None, Doc("API secret of the property; a file is safer.", "Secret")] = None
    secret_file: Annotated[
        Path | None, Doc("File that holds the API secret, mode 0400 or 0600.", "/run/secrets/ga4")
    ] = None


class ServiceSection(Section, frozen=True):
    """`[services.service_mongoose_system_metrics]`, MongooseIM's own section."""

    initial_report: Annotated[FromNow, Doc("Time from the start to the first report, in ms.")] = 300_000
    periodic_report: Annotated[Milliseconds, Doc("Time between reports, in ms.")] = 10_800_000
    report: Annotated[
        Consent, Doc("Consent: true reports silently, false sends nothing, absent reports with a notice.", True)
    ] = UNSET
    tracking_id: TrackingId = TrackingId()


class Destination(Section, frozen=True):
    """`[[bridge.destinations]]`: a further GA4 property, a relay, the EU endpoint."""

    measurement_id: Annotated[MeasurementId, Doc("Measurement ID of the property, G-XXXX.", "G-YYYY")]
    kind: Annotated[
        Literal["measurement-protocol", "data-manager"], Doc("By which of Google's interfaces reports go there.")
    ] = "measurement-protocol"
    property_id: Annotated[
        PropertyId | None, Doc("The property's number, for data-manager; else bridge.google.property_id.", "123456789")
    ] = None
    api_secret: Annotated[Secret | None, Doc("API secret; a file is safer.", "Secret")] = None
    api_secret_file: Annotated[Path | None, Doc("File that holds the API secret.", "/run/secrets/ga4")] = None
    api_secret_env: Annotated[Path | None, Doc("Environment variable that holds the API secret.", "GA4_SECRET")] = None
    endpoint: Annotated[str, Doc("Where to post: GA4's global or EU endpoint, or a relay.")] = GA4_ENDPOINT
    allow_plain_http: Annotated[bool, Doc("Send the API secret and the events unencrypted to an http:// endpoint.")] = (
        False
    )


class Location(Section, frozen=True):
    """`[bridge.user_location]`: what GA4 is told of geography; nothing unless set."""

    country: Annotated[Country | None, Doc("ISO 3166-1 country, as in PL.", "PL")] = None
    region: Annotated[Region | None, Doc("ISO 3166-2 region, as in PL-12.", "PL-12")] = None
    city: Annotated[City | None, Doc("City name.", "Krakow")] = None


class Tls(Section, frozen=True):
    """`[bridge.tls]`: TLS of the Erlang distribution (-proto_dist inet_tls); the section alone switches it on."""

    cacertfile: Annotated[
        Path | None, Doc("CA certificates that sign the nodes' certificates (PEM).", "/etc/mongooseim/ca.pem")
    ] = None
    certfile: Annotated[Path | None, Doc("The bridge's client certificate (PEM).", "/etc/mongooseim/bridge.pem")] = None
    keyfile: Annotated[Path | None, Doc("The key of the client certificate (PEM).", "/etc/mongooseim/bridge.key")] = (
        None
    )
    verify: Annotated[bool, Doc("Verify the nodes' certificates.")] = True
    check_hostname: Annotated[bool, Doc("Check the host part of the node name as well.")] = True
    optfile: Annotated[
        Path | None, Doc("An ssl_dist_optfile; its client section is used instead.", "/etc/mongooseim/ssl_dist.conf")
    ] = None


class Health(Section, frozen=True):
    """`[bridge.health]`: the HTTP listener of `run`, off unless a port is set."""

    port: Annotated[Port | None, Doc("Port of the health listener; off when absent.", 9180)] = None
    host: Annotated[str, Doc("Address of the health listener.")] = "127.0.0.1"


class Google(Section, frozen=True):
    """`[bridge.google]`: Google's own APIs, which know what became of the events; not needed for sending any."""

    credentials_file: Annotated[
        Path | None,
        Doc(
            "Key of a service account (JSON), mode 0400; Application Default Credentials when absent.",
            "/run/secrets/google.json",
        ),
    ] = None
    property_id: Annotated[PropertyId | None, Doc("The property's number, for what has to name it.", "123456789")] = (
        None
    )
    verify: Annotated[
        bool, Doc("Ask the property, once per report and destination, whether it has counted what was delivered.")
    ] = False
    endpoint: Annotated[str, Doc("Base URL of all of Google's APIs, for tests; Google's own hosts when empty.")] = ""


class BridgeSection(Section, frozen=True):
    """`[bridge]`: everything that MongooseIM's own section does not know."""

    report: Annotated[
        Consent,
        Doc(
            "Consent for the bridge alone; beats report of MongooseIM's section, which its own reporter reads too.",
            True,
        ),
    ] = UNSET
    nodes: Annotated[Nodes, Doc("Where to enter the cluster (name@host or name@host:port).")] = (
        "mongooseim@localhost",
    )
    name: Annotated[
        str | None,
        Doc("Own node name of `run`; mongooseim_bridge at this host by default.", "mongooseim_bridge@localhost"),
    ] = None
    cookie_file: Annotated[
        Path | None, Doc("File with the cluster's cookie, mode 0400, 0600 or 0440.", "/etc/mongooseim/cookie")
    ] = None
    cookie: Annotated[Secret | None, Doc("The cookie itself; from the environment only.")] = None
    vm_args: Annotated[
        Path | None,
        Doc("MongooseIM's vm.args: cookie, name style; vm.dist.args beside it is read too.", "/etc/mongooseim/vm.args"),
    ] = None
    epmd_port: Annotated[Port | None, Doc("Port of EPMD; ERL_EPMD_PORT or 4369 by default.", 4369)] = None
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
    start_jitter: Annotated[
        FromNow, Doc("The first report comes up to this much later, always the same for one Client ID, in ms.")
    ] = 0
    also_known: Annotated[
        ModuleNames, Doc("Modules to report by name though no known release has them.", ["mod_x"])
    ] = ()
    new_facts: Annotated[
        Literal["report", "hold"],
        Doc("What a newer release can report beyond the last one: report it, or hold it until `consent accept`."),
    ] = "report"
    deliver_timeout: Annotated[
        Milliseconds, Doc("How long `report` goes on trying before it leaves the rest queued, in ms.")
    ] = 20_000
    ambiguous_timeout: Annotated[
        Literal["retry", "drop"], Doc("After a read time-out GA4 may have counted: send again, or give up.")
    ] = "retry"
    ca_file: Annotated[
        Path | None, Doc("CA certificates for HTTPS instead of the system's (PEM).", "/etc/ssl/certs/company.pem")
    ] = None
    proxy: Annotated[
        Secret | None,
        Doc(
            "HTTP proxy, user and password included; HTTPS_PROXY and NO_PROXY are taken otherwise.",
            "http://proxy:3128",
        ),
    ] = None
    queue_max_batches: Annotated[int, Meta(ge=1), Doc("Most batches kept in the queue; the oldest go first.")] = 100_000
    queue_max_bytes: Annotated[int, Meta(ge=130_000), Doc("Most bytes kept in the queue; the oldest go first.")] = (
        200_000_000
    )
    history_days: Annotated[Days, Doc("How long past reports can be shown.")] = 90
    missing_days: Annotated[Days, Doc("How long a node that no longer answers is shown as missing.")] = 7
    tls: Tls = Tls()
    user_location: Location = Location()
    destinations: tuple[Destination, ...] = ()
    health: Health = Health()
    google: Google = Google()


class Services(Struct, frozen=True):
    """`[services]`, of which all else is MongooseIM's."""

    service_mongoose_system_metrics: ServiceSection = ServiceSection()


class Settings(Struct, frozen=True):
    """The whole file, of which all else is MongooseIM's, checked."""

    services: Services = Services()
    bridge: BridgeSection = BridgeSection()

    @property
    def service(self) -> ServiceSection:
        """MongooseIM's own section."""
        return self.services.service_mongoose_system_metrics
