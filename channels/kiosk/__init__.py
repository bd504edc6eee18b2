"""Walk-in visitors: they check in at a kiosk, wait with a ticket, and are called on a screen."""
