"""The service's HTTP listener: is it alive, is it ready, its metrics, and a page with all that it shares."""
