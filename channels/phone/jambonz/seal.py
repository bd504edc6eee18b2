"""What we write into the query of an address that we give to jambonz, and want to believe when it comes back.

jambonz signs the body of a request and not its address, so the parameters carry a proof of their own, which is bound to
the call.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

_PROOF = "proof"


def seal(params: Mapping[str, str], call: str, secret: str) -> str:
    """The query."""
    text = urlencode(sorted(params.items()))
    return f"{text}&{_PROOF}={_mac(text, call, secret)}"


def unseal(query: str, call: str, secrets: Sequence[str]) -> dict[str, str]:
    """The parameters, or none if we did not write them for this call."""
    params = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=32))
    proof = params.pop(_PROOF, "").encode("utf-8", "replace")
    text, good = urlencode(sorted(params.items()), errors="replace"), False
    for secret in secrets:
        good |= hmac.compare_digest(_mac(text, call, secret).encode(), proof)
    return params if good else {}


def _mac(text: str, call: str, secret: str) -> str:
    return hmac.digest(secret.encode(), f"{call}?{text}".encode(), "sha256").hex()
