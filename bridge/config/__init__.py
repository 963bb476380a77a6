"""The settings: file, environment and options, and where each value came from."""
