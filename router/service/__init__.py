"""What stands between the engine and the edges: the writer, the outbox, and the stores of what the journal only names."""
