"""The service's HTTP listener: is it alive, is it ready, its metrics, and a page with all that it shares.

`async with Health(settings.bridge.health, state, store) as health: ... health.address`
"""

from bridge.service.health.server import Health, HealthError

__all__ = ["Health", "HealthError"]
