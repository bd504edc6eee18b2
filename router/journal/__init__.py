"""The log that remembers: a port, its implementations, and the codec that gives its bytes their meaning."""
