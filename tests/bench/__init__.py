"""The benchmarks run, print what they say they print, and their floors do the same work."""
