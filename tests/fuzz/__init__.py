"""Endurance: every parser of what strangers send, with as many inputs as one has time for."""
