"""Answers of the daemon as people read them: words and columns, nothing that only a machine writes."""

from __future__ import annotations

from typing import Any

import pytest

from router.cli.looking import show

DOMAINS = {
    "domains": [
        {"domain": "north", "number": 1, "engine": "one", "standbys": ["two"], "linked": True, "queues": ["a", "b"]},
        {"domain": "south", "number": 2, "engine": "", "standbys": [], "linked": False, "queues": ["c"]},
    ]
}
CUSTOMER = {
    "customer": "tel:+15550100",
    "identities": ["tel:+15550100", "mailto:kim@example.org"],
    "interactions": [],
    "history": [{"at_ms": 1_700_000_000_000, "what": "a was joined with b", "by": "operator:olga", "why": ""}],
    "card": {
        "version": 2,
        "fields": {"company": "[red]ACME[/red]"},
        "changes": [
            {"at_ms": 1_700_000_000_000, "by": "agent:ana", "field": "company", "before": "", "after": "[b]ACME"}
        ],
    },
}


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        (
            DOMAINS,
            [
                ["north", "1", "one", "two", "yes", "a, b"],
                ["south", "2", "", "", "no", "c"],
            ],
        ),
        (
            CUSTOMER,
            [
                ["identities  tel:+15550100, mailto:kim@example.org"],
                ["2023-11-14T22:13:20.000Z", "a was joined with b", "operator:olga", ""],
                ["card version  2"],
                ["card fields company  [red]ACME[/red]"],
                ["2023-11-14T22:13:20.000Z", "agent:ana", "company", "", "[b]ACME"],
            ],
        ),
    ],
)
def test_a_table_has_no_json_in_it(answer: Any, lines: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    show(answer, as_json=False)
    shown = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    for line in lines:
        assert line in shown
    assert not any(sign in cell for row in shown for cell in row for sign in '{}"')
