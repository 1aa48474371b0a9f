"""Broker, connection, devices, swaps: thin shells around the rules."""
