"""Accounts as a file that two processes share: what is kept, who is in, who is out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import BadMessage, IllegalMove, NotFound, Overloaded, Unauthenticated, Unavailable
from router.service.accounts import (
    MAY_WAIT,
    SHORTEST,
    Account,
    Accounts,
    check_account,
    check_password,
    digest,
    hashed,
    teams_of,
)
from router.service.attempts import Failures
from router.service.audit import SEEN_MS, Act, Audit, Wanted
from router.service.finders import mask_cards
from router.service.roles import MAY, ROLES, identity
from router.service.tickets import TICKETS_MAX, Tickets

NOW = 1_700_000_000_000
HOUR = 3_600_000
PASSWORD = "correct horse battery"
HASH = hashed("sue", PASSWORD)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    made = Accounts(tmp_path / "accounts.db")
    made.open()
    yield made
    made.close()


@pytest.fixture
def elsewhere(tmp_path: Path, accounts: Accounts) -> Iterator[Accounts]:
    """The same file, opened as the command line opens it beside the daemon."""
    made = Accounts(tmp_path / "accounts.db")
    made.open()
    yield made
    made.close()


def sue(**more: object) -> Account:
    fields: dict[str, object] = {"roles": ("supervisor",), "teams": ("front",), "password": HASH}
    return Account(name="sue", **(fields | more))  # type: ignore[arg-type]


async def test_a_password_proves_who_it_is_and_nothing_else_does(accounts: Accounts) -> None:
    accounts.put(sue())
    assert (await accounts.proved("sue", PASSWORD, NOW)).roles == ("supervisor",)
    for name, password in [("sue", PASSWORD + "!"), ("sue", ""), ("bob", PASSWORD), ("", ""), ("sue\0", PASSWORD)]:
        with pytest.raises(Unauthenticated):
            await accounts.proved(name, password, NOW)


async def test_an_account_that_only_a_provider_proves_has_no_password_that_fits(accounts: Accounts) -> None:
    accounts.put(sue(password=""))
    with pytest.raises(Unauthenticated):
        await accounts.proved("sue", "", NOW)


async def test_few_passwords_are_checked_at_once_and_few_may_wait(accounts: Accounts) -> None:
    accounts.put(sue())
    accounts._waiting = MAY_WAIT
    with pytest.raises(Overloaded):
        await accounts.proved("sue", PASSWORD, NOW)
    accounts._waiting = 0
    assert await asyncio.gather(*(accounts.proved("sue", PASSWORD, NOW) for _ in range(4)))
    assert accounts._waiting == 0


def test_the_file_holds_neither_passwords_nor_tokens(accounts: Accounts, tmp_path: Path) -> None:
    accounts.put(sue())
    token, _ = accounts.begin(accounts.get("sue"), NOW, HOUR, "192.0.2.1")
    accounts.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.db*"))
    assert b"supervisor" in content
    assert PASSWORD.encode() not in content
    assert token.encode() not in content
    assert (tmp_path / "accounts.db").stat().st_mode & 0o077 == 0


def test_a_session_ends_at_its_time(accounts: Accounts) -> None:
    accounts.put(sue())
    token, session = accounts.begin(accounts.get("sue"), NOW, HOUR, "")
    assert session.ends_ms == NOW + HOUR
    found = accounts.identity(digest(token), NOW + HOUR - 1)
    assert found is not None
    assert (found.name, found.teams, found.by) == ("sue", ("front",), "supervisor:sue")
    assert accounts.identity(digest(token), NOW + HOUR) is None


def test_a_session_outlives_a_restart(accounts: Accounts, tmp_path: Path) -> None:
    accounts.put(sue())
    token, _ = accounts.begin(accounts.get("sue"), NOW, HOUR, "")
    accounts.close()
    again = Accounts(tmp_path / "accounts.db")
    again.open()
    try:
        assert again.identity(digest(token), NOW) is not None
    finally:
        again.close()


def test_what_another_process_changes_counts_with_the_next_question(accounts: Accounts, elsewhere: Accounts) -> None:
    accounts.put(sue())
    token, _ = accounts.begin(accounts.get("sue"), NOW, HOUR, "")
    generation = accounts.generation()
    elsewhere.change("sue", NOW, disabled=True)
    assert accounts.identity(digest(token), NOW) is None
    assert accounts.generation() != generation
    assert accounts.standing(NOW) == set()
    elsewhere.change("sue", NOW, disabled=False)
    assert accounts.identity(digest(token), NOW) is None  # unlocked, but not signed in again
    assert accounts.get("sue").disabled is False


def test_another_password_ends_every_session(accounts: Accounts) -> None:
    accounts.put(sue())
    tokens = [accounts.begin(accounts.get("sue"), NOW, HOUR, "")[0] for _ in range(3)]
    assert accounts.sessions(NOW) == {"sue": 3}
    accounts.change("sue", NOW, password=hashed("sue", "another one altogether"))
    assert [accounts.identity(digest(token), NOW) for token in tokens] == [None, None, None]


def test_sessions_that_are_over_are_forgotten(accounts: Accounts) -> None:
    accounts.put(sue())
    for n in range(5):
        accounts.begin(accounts.get("sue"), NOW + n * HOUR, HOUR, "")
    assert len(accounts.standing(0)) == 1


def test_no_account_is_made_twice_and_none_is_changed_that_is_not_there(accounts: Accounts) -> None:
    accounts.put(sue(), new=True)
    with pytest.raises(IllegalMove):
        accounts.put(sue(), new=True)
    with pytest.raises(NotFound):
        accounts.change("bob", NOW, disabled=True)


def test_nothing_is_changed_before_the_start_and_after_the_stop(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts.db")
    with pytest.raises(Unavailable):
        accounts.put(sue())
    assert accounts.identity(b"", NOW) is None


@pytest.mark.parametrize(
    "password", ["", "short", "x" * (SHORTEST - 1), "aaaaaaaaaaaaaaaa", "abababababababab", "sue is my name", "y" * 257]
)
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(BadMessage):
        check_password("sue", password)


@pytest.mark.parametrize(
    "account",
    [
        Account(name="Sue", roles=("operator",)),
        Account(name="", roles=("operator",)),
        Account(name="../x", roles=("operator",)),
        Account(name="sue", roles=()),
        Account(name="sue", roles=("king",)),  # type: ignore[arg-type]
        Account(name="sue", roles=("agent",)),
        Account(name="sue", roles=("supervisor",), teams=()),
        Account(name="sue", roles=("agent", "quality"), teams=(), agent="sue"),
    ],
)
def test_accounts_that_are_refused(account: Account) -> None:
    with pytest.raises(BadMessage):
        check_account(account)


def test_a_star_is_every_team() -> None:
    assert (teams_of(()), teams_of(("a", "b", "a")), teams_of(("a", "*"))) == ((), ("a", "b"), None)


def test_several_roles_have_what_any_of_them_has_and_an_operator_is_of_no_team() -> None:
    both = identity("kim", ("agent", "quality"), ("front",), "kim")
    assert both.may == MAY["agent"] | MAY["quality"]
    assert (both.title, both.teams) == ("quality", ("front",))
    assert identity("olga", ("operator", "supervisor"), ("front",)).teams is None


def test_every_role_is_less_than_an_operator_but_for_ones_own_work() -> None:
    for role in ROLES:
        assert MAY[role] - {"work"} <= MAY["operator"]
    assert "words" not in MAY["helpdesk"]
    assert "lead" not in MAY["quality"]


@given(st.text(max_size=300), st.text(max_size=80))
def test_whatever_is_typed_is_taken_or_refused(password: str, name: str) -> None:
    account = Account(name=name, roles=("operator",), teams=None)
    with contextlib.suppress(BadMessage):
        check_password(name or "x", password)
    with contextlib.suppress(BadMessage):
        check_account(account)


# --- tickets ----------------------------------------------------------------------------------------------------------


def test_a_ticket_is_good_once_and_for_seconds() -> None:
    now = [NOW]
    tickets = Tickets(30_000, lambda: now[0])
    ana = identity("ana", ("agent",), (), "ana")
    first, ends_ms = tickets.issue(ana)
    assert ends_ms == NOW + 30_000
    assert (tickets.redeem(first), tickets.redeem(first)) == (ana, None)
    late, _ = tickets.issue(ana)
    now[0] += 30_000
    assert tickets.redeem(late) is None
    assert tickets.redeem("sbt_made-up") is None


def test_tickets_that_nobody_uses_are_bounded() -> None:
    now = [NOW]
    tickets = Tickets(30_000, lambda: now[0])
    for _ in range(TICKETS_MAX + 10):
        tickets.issue(identity("ana", ("agent",), (), "ana"))
    assert len(tickets._open) == TICKETS_MAX
    now[0] += 30_000
    tickets.issue(identity("ana", ("agent",), (), "ana"))
    assert len(tickets._open) == 1


# --- wrong proofs -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
def test_who_guesses_waits_and_who_was_right_from_there_does_not() -> None:
    failures = Failures(3)
    failures.succeeded("192.0.2.1", b"right")
    for _ in range(3):
        assert failures.retry_after_ms("192.0.2.1", NOW, b"guess") == 0
        failures.add("192.0.2.1", NOW)
    assert failures.retry_after_ms("192.0.2.1", NOW + 10_000, b"guess") == 50_000
    assert failures.retry_after_ms("192.0.2.1", NOW, b"right") == 0
    assert failures.retry_after_ms("192.0.2.2", NOW, b"guess") == 0
    assert failures.retry_after_ms("192.0.2.1", NOW + 60_000, b"guess") == 0


def test_a_name_has_a_length_that_a_line_can_show(accounts: Accounts) -> None:
    accounts.put(sue(shown="W" * 100))
    with pytest.raises(BadMessage, match="at most 100 characters, not 101"):
        accounts.put(sue(shown="W" * 101))
    with pytest.raises(BadMessage, match="at most 100 characters, not 600"):
        accounts.change("sue", NOW, shown="W" * 600)
    assert accounts.get("sue").shown == "W" * 100


def test_who_had_a_longer_name_before_there_was_a_limit_can_still_be_locked_out(
    accounts: Accounts, elsewhere: Accounts
) -> None:
    accounts.put(sue())
    assert elsewhere._db is not None
    elsewhere._db.execute("UPDATE account SET content = json_set(content, '$.shown', ?)", ("W" * 600,))
    assert accounts.change("sue", NOW, disabled=True).disabled
    assert accounts.change("sue", NOW, shown="Sue Lind").shown == "Sue Lind"


# --- the audit --------------------------------------------------------------------------------------------------------


def test_the_audit_tells_what_was_done_the_newest_first_and_page_by_page(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.db")
    with pytest.raises(Unavailable):
        audit.write(NOW, "supervisor:sue", "read")
    audit.open()
    try:
        for n in range(5):
            audit.write(NOW + n, "supervisor:sue", "read", f"i-{n}", "x" * 10_000, "192.0.2.1")
        audit.write(NOW, "operator:olga", "config")
        newest = audit.page(0, 2)
        assert [act.subject for act in newest] == ["", "i-4"]
        assert [act.subject for act in audit.page(newest[-1].number, 10)] == ["i-3", "i-2", "i-1", "i-0"]
        assert [act.who for act in audit.page(0, 10, Wanted(("operator:olga",)))] == ["operator:olga"]
        assert len(newest[1].detail) == 500
    finally:
        audit.close()


ACTS = [
    (who, act, subject, NOW + n)
    for n, (who, act, subject) in enumerate(
        product(("agent:sue", "supervisor:sue", "operator:olga", "console:sue"), ("read", "close"), ("i-1", "sue"))
    )
]


@pytest.mark.promise("OB-5")
@given(
    who=st.lists(st.sampled_from(["sue", "Olga", "supervisor:sue", "SUPERVISOR:Sue", "nobody"]), max_size=2),
    act=st.sampled_from(["", "read", "close", "take"]),
    subject=st.lists(st.sampled_from(["I-1", "sue", "' OR 1"]), max_size=2),
    from_ms=st.sampled_from([0, NOW, NOW + 7, NOW + 99]),
    until_ms=st.sampled_from([0, NOW, NOW + 7, NOW + 99]),
)
def test_what_is_asked_of_the_audit_is_all_that_is_told_and_all_of_it(
    acted: Audit, who: list[str], act: str, subject: list[str], from_ms: int, until_ms: int
) -> None:
    expected = [
        (acting, done, about, at)
        for acting, done, about, at in reversed(ACTS)
        if (not who or {acting, acting.partition(":")[2]} & {one.lower() for one in who})
        and act in ("", done)
        and (not subject or about in {one.lower() for one in subject})
        and at >= from_ms
        and (not until_ms or at < until_ms)
    ]
    wanted, found, before = Wanted(tuple(who), act, tuple(subject), from_ms, until_ms), list[Act](), 0
    while page := acted.page(before, 3, wanted):
        found += page
        before = page[-1].number
    assert [(one.who, one.act, one.subject, one.at_ms) for one in found] == expected


def test_the_audit_knows_who_has_done_what(acted: Audit) -> None:
    assert acted.names("who") == ["agent:sue", "console:sue", "operator:olga", "supervisor:sue"]
    assert acted.names("act") == ["close", "read"]


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    audit = Audit(tmp_path_factory.mktemp("acted") / "audit.db")
    audit.open()
    try:
        assert audit.names("who") == []
        for who, act, subject, at in ACTS:
            audit.write(at, who, act, subject)
        yield audit
    finally:
        audit.close()


@pytest.mark.promise("OB-6")
def test_the_audit_keeps_no_reason_as_it_was_written_where_the_house_hides_something(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.db")
    audit.mask = mask_cards
    audit.open()
    try:
        audit.write(NOW, "operator:olga", "close", "i-1", "paid with 4111 1111 1111 1111")
        assert [act.detail for act in audit.page(0, 1)] == ["paid with •••• 1111"]
    finally:
        audit.close()


def test_reading_on_is_one_act_and_coming_back_is_another(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.db")
    looks = [audit.is_news(NOW + at, "supervisor:sue", "i-1") for at in (0, 2_000, SEEN_MS - 1, SEEN_MS)]
    assert looks == [True, False, False, True]
    assert audit.is_news(NOW, "quality:kim", "i-1")
