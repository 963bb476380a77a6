"""The root of every error that the bridge raises on purpose.

Each package grows its own tree from here. A message says what failed, with what (node, file, key), the likely
cause and what to do, because the command line prints it as it is and nothing else. Secrets never appear in one.

BridgeError
├── bridge.erlang.errors.ErlangError       the node: EPMD, handshake, connection, calls, terms
├── bridge.mongooseim.errors.MongooseError what the nodes answered
├── bridge.delivery.errors.DeliveryError   the queue on disk and the destinations
└── bridge.config.errors.ConfigError       files, environment, options
"""


class BridgeError(Exception):
    """Something failed in a way that the bridge foresaw; the message is written for the operator."""
