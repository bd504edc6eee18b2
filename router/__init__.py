"""Switchboard: one engine decides who answers what next; one journal remembers; everything else is an edge."""

__version__ = "0.1.0"
