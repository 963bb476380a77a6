"""A hidden Erlang node: distribution protocol, EPMD, external term format, TLS and remote calls."""
