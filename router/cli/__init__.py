"""What the command line does beside running the daemon: looking, trying things out, and saying where they are."""
