"""Destinations, their limits, what becomes of a batch, and how it is sent."""
