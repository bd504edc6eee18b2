"""The HTTP side: health, metrics, the operators' API and the port that gateways and the kiosk share."""
