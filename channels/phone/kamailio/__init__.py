"""Kamailio with the configuration in deploy/kamailio: parks calls, tells of them, and relays them to telephones."""
