"""Twilio Voice, and what speaks its language: signed forms in, TwiML out, calls moved by REST."""
