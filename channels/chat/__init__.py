"""Chat visitors: a websocket that survives cuts, over to interactions and back."""
