"""`mongooseim-bridge` of a release to come, in which two params of today are new."""

from bridge.report import events

NEW = (("cluster", "config_type"), ("custom_module_count", "value"))
for event, param in NEW:
    params = events.EVENTS[event]
    assert isinstance(params, dict)
    params[param] = params[param]._replace(since=2)
events.CONTRACT = 2  # type: ignore[misc]

if __name__ == "__main__":
    from bridge.cli.main import main

    main()
