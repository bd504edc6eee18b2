"""Plivo: signed forms in, Plivo XML out, calls moved by REST."""
