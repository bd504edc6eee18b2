"""What holds the house together: one writer, its answers and effects, the stores, the clock and the sockets."""
