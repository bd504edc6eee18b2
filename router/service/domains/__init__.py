"""Routing domains: a house that is parted into several engines, each with a log of its own, over the same edges."""
