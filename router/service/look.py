"""The one visual language, as a file that whoever shows a page reads: colours and measures as CSS properties.

It stands here because pages are made in rooms that may not know one another: the desk and the chat widget give it out
as a file of theirs, the kiosk writes it into its pages. Nobody else gives a colour a value.
"""

from __future__ import annotations

from pathlib import Path

TOKENS = Path(__file__).with_name("tokens.css")
