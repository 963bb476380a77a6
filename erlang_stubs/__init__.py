"""Plain Erlang nodes that answer as MongooseIM nodes do: for the demo and the tests. Nothing in Python is a node."""
