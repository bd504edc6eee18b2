"""Edges in processes of their own: the link to the engine, from both ends."""
