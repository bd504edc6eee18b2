"""How the outside reaches the router: one package per channel, none of which knows another."""
