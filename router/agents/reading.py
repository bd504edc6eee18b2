"""What a mail says, asked of the server by the agent who has it.

A mail comes to agents as the file that it is; the server reads it (`GET /v1/interactions/ID/content`).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import quote, urlsplit

from router.agents.mirror import Json

HTTP = "http://127.0.0.1:8080"
TIMEOUT_S = 10.0
ANSWER_MAX = 16 << 20  # a conversation of long mails is far below it


def content(http: str, token: str, interaction: str) -> Json:
    """`{interaction, messages, notes}`. Blocks. Raises OSError or ValueError, whose text says what is wrong."""
    url = f"{http.rstrip('/')}/v1/interactions/{quote(interaction, safe='')}/content"
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{http} is no address such as {HTTP}")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - looked at above
    local = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            found = json.loads(answer.read(ANSWER_MAX))
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"{http} answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise OSError(f"{http} cannot be reached ({error.reason}); name the server's with --http") from None
    if not isinstance(found, dict) or not isinstance(found.get("messages"), list):
        raise ValueError(f"{http} answered something else; name the server's address with --http")
    return found
