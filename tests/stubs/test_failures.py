"""What goes wrong in a stub goes wrong as in a real node, with the same reasons and the same secrets in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from erlang_stubs.cluster import SECRET_MARKER, StubCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from erlang_stubs.beam import Beam


def failure(node: Beam, expression: str) -> str:
    return node.eval(f"try {expression} of V -> {{returned, V}} catch C:R -> {{C, R}} end")


def test_a_missing_option_fails_with_the_whole_configuration_in_the_stack_trace(default_cluster: StubCluster) -> None:
    node = default_cluster.nodes[0]
    assert failure(node, "mongoose_config:get_opt(missing)") == "{error,{badkey,missing}}"
    trace = node.eval("try mongoose_config:get_opt(missing) catch _:_:Trace -> Trace end")
    assert trace.startswith("[{maps,get,[missing,#{")
    assert trace.count(SECRET_MARKER) > 10


@pytest.fixture(scope="module")
def stopped() -> Iterator[Beam]:
    with StubCluster("app_stopped", size=1) as cluster:
        yield cluster.nodes[0]


@pytest.mark.parametrize(
    "expression",
    [
        "mongoose_config:get_opt(hosts)",
        "mongoose_config:lookup_opt(hosts)",
        'gen_mod:loaded_modules(<<"acme.example">>)',
        "mongoose_router:get_all_domains()",
        "mongoose_component:dirty_get_all_components(all)",
        "mongoose_cluster_id:get_cached_cluster_id()",
        "mongoose_system_metrics_collector:collect([], none)",
    ],
)
def test_badarg_while_the_application_is_stopped(stopped: Beam, expression: str) -> None:
    assert failure(stopped, expression) == "{error,badarg}"


def test_the_configuration_is_looked_for_in_a_persistent_term(stopped: Beam) -> None:
    trace = stopped.eval("try mongoose_config:get_opt(hosts) catch _:_:Trace -> hd(Trace) end")
    assert trace.startswith("{persistent_term,get,[mongoose_config],")


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("mongoose_domain_core:domains_count()", "undefined"),
        ("mongoose_config:get_config_path()", '"etc/mongooseim.toml"'),
        ("mongoose_logs:dir()", '"/var/log/mongooseim"'),
        ("exometer:get_values(['_', xmpp_element_in, '_', message_count])", "[]"),
        ('prometheus_counter:values(default, "xmpp_element_in_message_count") =/= []', "true"),
        ("lists:keymember(mongooseim, 1, application:which_applications())", "false"),
        ("element(1, statistics(wall_clock)) > 0", "true"),
    ],
)
def test_what_still_answers_while_the_application_is_stopped(stopped: Beam, expression: str, answer: str) -> None:
    assert stopped.eval(expression) == answer


def test_a_metrics_library_that_does_not_run_is_a_badarg(start_cluster: Callable[..., StubCluster]) -> None:
    node = start_cluster("6.8_metrics_not_started", size=1).nodes[0]
    assert node.eval("lists:sort(maps:keys(mongoose_config:get_opt(instrumentation)))") == (
        "[exometer,log,probe_interval,prometheus]"
    )
    asked = 'prometheus_counter:values(default, "xmpp_element_in_message_count")'
    assert failure(node, asked) == "{error,badarg}"
    assert failure(node, "exometer:get_values(['_', xmpp_element_in, '_', message_count])") == "{error,badarg}"
    assert failure(node, "mongoose_system_metrics_collector:collect([], prometheus)") == "{error,badarg}"


def test_without_instrumentation_the_option_has_only_its_default(start_cluster: Callable[..., StubCluster]) -> None:
    node = start_cluster("6.8_none", size=1).nodes[0]
    assert node.eval("mongoose_config:get_opt(instrumentation)") == "#{probe_interval => 15}"


def test_reasons_carry_secrets_in_a_hostile_node(start_cluster: Callable[..., StubCluster]) -> None:
    node = start_cluster("hostile", size=1).nodes[0]
    assert SECRET_MARKER in failure(node, 'mod_event_pusher:config_metrics(<<"acme.example">>)')
    assert SECRET_MARKER in failure(node, 'mod_acme_failing:config_metrics(<<"acme.example">>)')
    assert failure(node, "mongoose_system_metrics_collector:collect([], none)").startswith("{error,")
