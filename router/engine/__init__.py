"""The routing engine: no asyncio, no clock, no randomness, no channel names, no I/O."""
