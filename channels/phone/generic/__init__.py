"""The protocol for gateways that have none of their own: signed JSON both ways."""
