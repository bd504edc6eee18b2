"""Telephone calls: gateways tell of them by webhooks and are driven through their control addresses."""
