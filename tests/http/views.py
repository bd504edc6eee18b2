"""Views with nothing in them that a test does not ask for."""

from __future__ import annotations

from typing import Any

from router.engine.views import AgentView, InteractionView, Outbound


def interaction_view(number: int, **more: Any) -> InteractionView:
    given: dict[str, Any] = {
        "id": f"i-{number}",
        "channel": "email",
        "direction": "inbound",
        "state": "queued",
        "queue": "support",
        "customer": "c-1",
        "sender": "ann@b.example",
        "recipient": "support@localhost",
        "name": "Ann",
        "subject": "A question",
        "language": "en",
        "enqueued_at_ms": 1_700_000_000_000,
        "requirement": {"skill": "support"},
        "matched_skills": (),
        "attributes": {},
    }
    return InteractionView(**{**given, **more})


def agent_view(name: str, **more: Any) -> AgentView:
    given: dict[str, Any] = {
        "agent": name,
        "name": name.title(),
        "state": "ready",
        "reason": "",
        "pending": "",
        "since_ms": 1_700_000_000_000,
        "sessions": 1,
        "load": {},
    }
    return AgentView(**{**given, **more})


def outbound(number: int, **more: Any) -> Outbound:
    given: dict[str, Any] = {
        "outbound": number,
        "at_ms": 1_700_000_000_000,
        "action": "message",
        "channel": "email",
        "interaction": 1,
        "threads": (),
        "sender": "support@localhost",
        "recipient": "ann@b.example",
        "subject": "A question",
        "attributes": {},
    }
    return Outbound(**{**given, **more})
