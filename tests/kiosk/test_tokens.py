"""The kiosk looks like the desk: the same colours and measures, word for word."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DESK = (ROOT / "router" / "desk" / "web" / "tokens.css").read_text()
KIOSK = (ROOT / "channels" / "kiosk" / "pages" / "style.css").read_text()


def tokens(css: str, after: str) -> dict[str, str]:
    """The properties of the first block of `:root` after that text."""
    start = css.index(":root", css.index(after))
    block = css[css.index("{", start) + 1 : css.index("}", start)]
    return dict(re.findall(r"(--[a-z-]+):\s*([^;]+);", block))


def test_light_and_dark_have_the_colours_of_the_desk() -> None:
    for look in (":root", "@media (prefers-color-scheme: dark)"):
        assert tokens(KIOSK, look) == tokens(DESK, look)
        assert len(tokens(KIOSK, look)) > 20
