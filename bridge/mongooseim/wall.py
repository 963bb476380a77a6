"""The privacy wall: what may leave the operator's network. Every word and number of a report has passed through here.

Only names that MongooseIM's open source releases 6.1.0 to 6.8.0 use may pass. A module with any other name is custom
and counted; any other value becomes the word "custom"; an HTTP handler or a transport with any other name is left out,
as MongooseIM itself leaves it out. A term of an unexpected type is treated as an unknown name. Nothing here fails, and
nothing of what is turned away is kept, logged or put into a message.

The lists are sent along with the probes, and names are filtered against them in the node already, so that an unknown
one does not leave it. What is here is the second wall: it does not rely on what a node does.

Sources: the modules with behaviour gen_mod or mongoose_module_metrics in each release's src/, and the choices that
mongoose_config_spec.erl and the modules' config_spec/0 allow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.erlang.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.erlang.terms import Term

CUSTOM: Final = "custom"
NEWEST: Final = "6.8.0"
"""The newest release that the lists know."""

MODULES: Final = frozenset(
    """
    mod_adhoc mod_amp mod_auth_token mod_bind2 mod_blocking mod_blocklist mod_bosh mod_broadcast mod_cache_users
    mod_caps mod_carboncopy mod_csi mod_disco mod_domain_isolation mod_dynamic_domains_test mod_event_pusher
    mod_event_pusher_http mod_event_pusher_push mod_event_pusher_rabbit mod_event_pusher_sns mod_extdisco
    mod_external_filter mod_fast_auth_token mod_global_distrib mod_global_distrib_bounce mod_global_distrib_disco
    mod_global_distrib_hosts_refresher mod_global_distrib_mapping mod_global_distrib_receiver
    mod_global_distrib_sender mod_global_distrib_utils mod_http_upload mod_inbox mod_jingle_sip mod_keystore mod_last
    mod_mam mod_mam_cache_user mod_mam_cassandra_arch mod_mam_cassandra_prefs mod_mam_elasticsearch_arch
    mod_mam_mnesia_prefs mod_mam_muc mod_mam_muc_cassandra_arch mod_mam_muc_elasticsearch_arch mod_mam_muc_rdbms_arch
    mod_mam_muc_rdbms_arch_async mod_mam_pm mod_mam_rdbms_arch mod_mam_rdbms_arch_async mod_mam_rdbms_prefs
    mod_mam_rdbms_user mod_mam_riak_timed_arch_yz mod_muc mod_muc_light mod_muc_light_cache mod_muc_log mod_offline
    mod_offline_chatmarkers mod_offline_stub mod_ping mod_presence mod_privacy mod_private mod_pubsub mod_pubsub_old
    mod_push_service_mongoosepush mod_register mod_roster mod_sasl2 mod_shared_roster_ldap mod_sic mod_smart_markers
    mod_stanzaid mod_stream_management mod_time mod_vcard mod_version service_translations
    """.split()
)

WORDS: Final[Mapping[str, frozenset[str]]] = {
    "module": MODULES,
    "backend": frozenset(
        "mnesia rdbms rdbms_async cets redis riak cassandra elasticsearch ldap s3 http push rabbit sns".split()
    ),
    "online_backend": frozenset({"mnesia", "cets"}),
    "api_version": frozenset({"v2", "v3"}),
    "handler": frozenset(
        """
        mod_bosh mod_websockets mongoose_admin_api mongoose_bosh_handler mongoose_client_api mongoose_graphql_handler
        mongoose_prometheus_handler mongoose_websocket_handler
        """.split()
    ),
    "transport": frozenset({"tcp"}),
    "tls_mode": frozenset({"tls", "starttls", "starttls_required"}),
    "tls_module": frozenset({"fast_tls", "just_tls"}),
    "pool": frozenset("redis http rdbms cassandra elastic generic rabbit ldap riak".split()),
    "config_type": frozenset({"toml", "cfg", "unknown_config_type"}),
    "failure": frozenset(
        "badarg badarith badmatch badkey badmap case_clause function_clause if_clause noproc timeout undef".split()
    ),
}
"""What may pass, by list. Handlers are of both generations: up to 6.5, and from 6.6 on."""

OPTIONS: Final = ("backend", "online_backend", "api_version")
"""The options of a module that are reported; each has its list."""

HTTP_TRANSPORTS: Final = frozenset("mod_bosh mod_websockets mongoose_bosh_handler mongoose_websocket_handler".split())
"""The handlers that are transports."""

_CLASSES: Final = frozenset({"error", "exit", "throw"})
_VERSION: Final = re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
_CLUSTER_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LARGEST: Final = 2**53
"""Beyond it a number is not exact where numbers are floats, as in JavaScript and BigQuery's FLOAT64."""


def text(term: Term) -> str | None:
    """A name as text: an atom, a binary or a string of printable ASCII; None for any other term."""
    if isinstance(term, list) and all(type(code) is int and 0 < code < 128 for code in term):
        term = bytes(term)
    name = term.decode("latin-1") if isinstance(term, bytes) else str(term) if isinstance(term, Atom) else ""
    return name if 0 < len(name) <= 255 and name.isascii() and name.isprintable() else None


def known(words: str, term: Term) -> str | None:
    """The name, if it is in the list of `WORDS` that is called so; None for any other term."""
    name = text(term)
    return name if name in WORDS[words] else None


def module(term: Term, also_known: Collection[str]) -> str | None:
    """The name of a module, if it is one of MongooseIM's or the operator lets it pass; None for any other term."""
    name = text(term)
    return name if name in MODULES or name in also_known else None


def word(words: str, term: Term) -> str:
    """The name, if it is in the list of `WORDS` that is called so; "custom" for any other term."""
    return known(words, term) or CUSTOM


def count(term: Term) -> int | None:
    """A number of things, or of seconds."""
    return term if type(term) is int and 0 <= term < _LARGEST else None


def version(term: Term) -> str:
    """A release number; what a custom build adds to it is cut off, and anything else is "custom"."""
    match = _VERSION.match(text(term) or "")
    return match[1] if match else CUSTOM


def is_newer(release: str | None) -> bool:
    """Whether a release number that has passed `version` is of a release that these lists do not know."""
    return _VERSION.fullmatch(release or "") is not None and _numbers(str(release)) > _numbers(NEWEST)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def cluster_id(term: Term) -> str | None:
    """A persistent cluster id, a random UUID; None for an ephemeral one and anything else."""
    name = text(term) or ""
    return name if _CLUSTER_ID.fullmatch(name) else None


def failure(kind: Term, tag: Term) -> str:
    """Why a fact could not be asked, in two words."""
    raised = text(kind)
    return f"{raised if raised in _CLASSES else 'error'} {known('failure', tag) or 'other'}"
