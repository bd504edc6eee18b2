"""Floors: the least that could do the same work, with the same libraries or with none."""
