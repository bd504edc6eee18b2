"""Explanations in every language: the same codes with the same parameters, and nothing of English left in another."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine.sayings import ENGLISH, JOINTS, Saying, joined, listed, say
from router.engine.views import CustomerView
from router.service.wording import HEADER_MAX, LANGUAGES, SPANISH, preferred, worded

ENGINE = Path(__file__).parents[2] / "router" / "engine"
WAY = ENGINE.parent / "service" / "way.py"
SAME = {
    "skill",
    "group",
    "part",
    "comma",
    "semicolon",
    "it-is-held",
    "way-why",
    "way-because",
    "supervisor",
}  # have no word of a language, or lose it


def parameters(template: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(template) if name is not None)


CODES = sorted(set(ENGLISH) - JOINTS)
texts = st.text(max_size=12)
leaves = texts | st.integers(0, 99).map(str)


@st.composite
def filled(draw: st.DrawFn, within: st.SearchStrategy[Any]) -> Saying:
    code = draw(st.sampled_from(CODES))
    return say(code, **{name: draw(within) for name in parameters(ENGLISH[code])})


@st.composite
def rows(draw: st.DrawFn, within: st.SearchStrategy[Any]) -> Saying:
    return joined(draw(st.sampled_from(sorted(JOINTS))), draw(st.lists(within, min_size=1, max_size=3)))


sayings = st.recursive(leaves, lambda within: filled(within) | rows(within), max_leaves=8)


@pytest.mark.promise("EX-2")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", sorted(ENGLISH))
def test_every_code_is_worded_in_every_language_with_the_same_parameters(code: str, language: str) -> None:
    assert set(LANGUAGES[language]) == set(ENGLISH)
    assert parameters(LANGUAGES[language][code]) == parameters(ENGLISH[code])
    if language != "en" and code not in SAME:
        assert LANGUAGES[language][code] != ENGLISH[code]


def test_every_code_that_the_engine_says_is_in_the_catalogue_and_none_stands_there_for_nothing() -> None:
    """Codes that are put together end or begin in quotes of their own: `say(f"state-...")`, `say("why-one" + end)`."""
    speakers = [*(path for path in ENGINE.glob("*.py") if path.name != "sayings.py"), WAY]
    text = "\n".join(path.read_text() for path in speakers)
    said = set(re.findall(r"\b(?:say|joined)\(\s*\"([\w-]+)\"", text))
    assert said <= set(ENGLISH)
    quoted = set(re.findall(r"\"([\w-]+)\"", text))
    made = {f"{what}-{end}" for what in ("share", "wait", "level", "own-level", "own-wait") for end in ("is", "must")}
    made |= {f"{what}-seen" for what in ("why-one", "why-all", "why-some")} | {"owned-aside", "documented-aside"}
    made |= {f"{what}-{code}" for what in ("reason", "best", "behind") for code in quoted} | {"operator", "supervisor"}
    made |= {"state-ready", "state-not_ready", "policy-relax", "policy-callback"}
    assert set(ENGLISH) - JOINTS - made <= quoted


@given(sayings)
def test_in_english_a_saying_is_what_it_was(saying: str) -> None:
    assert worded(saying, "en") == saying


@given(sayings)
def test_in_another_language_all_that_it_was_filled_with_is_there(saying: str) -> None:
    def within(one: object) -> list[str]:
        if not isinstance(one, Saying):
            return [str(one)]
        return [text for value in one.given.values() for part in (value if isinstance(value, tuple) else (value,))
                for text in within(part)]  # fmt: skip

    said = worded(saying, "es")
    assert all(text in said for text in within(saying))


def test_only_sayings_of_an_answer_are_worded() -> None:
    told = {
        "summary": say("owned", agent="ana"),
        "queue": "nothing",
        "agents": [{"agent": "ben", "reason": say("signed-out", agent="ben")}],
        "expected_wait": None,
        "position": 3,
    }
    assert worded(told, "es") == {
        "summary": "ana la tiene",
        "queue": "nothing",
        "agents": [{"agent": "ben", "reason": "ben no ha iniciado sesión"}],
        "expected_wait": None,
        "position": 3,
    }


def test_what_is_told_in_a_shape_of_its_own_keeps_it() -> None:
    view = CustomerView(
        customer="tel:+15550100",
        identities=("tel:+15550100",),
        interactions=("i-1",),
        history=({"at_ms": 1, "what": say("kin-merged", other="mailto:ana@x", customer="tel:+15550100")},),
    )
    told = worded(view, "es")
    act = {"at_ms": 1, "what": "mailto:ana@x se unió a tel:+15550100"}
    assert told == replace(view, history=(act,))


def test_lists_are_joined_as_the_language_does() -> None:
    kept = [say("part", n=n, kept=say(code)) for n, code in ((1, "could-one"), (2, "room-some"), (3, "not-ready-some"))]
    saying = say("why-some", n=6, parts=listed(kept))
    assert saying == (
        "waits because of 6 agents who fit and are signed in, 1 could get it now, 2 have no room and 3 are not ready"
    )
    assert worded(saying, "es") == (
        "espera porque, de 6 personas conectadas que cumplen el requisito,"
        " 1 podría recibirla ahora, 2 no tienen sitio y 3 no están disponibles"
    )


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("es-MX,en;q=0.8", "es"),
        ("de, fr;q=0.9, ES;q=0.5, en;q=0.4", "es"),
        ("en-GB, es;q=0.9", "en"),
        ("es;q=0.5,en", "en"),
        ("es;q=0", "en"),
        ("est", "en"),
        ("*", "en"),
        ("es;q=high", "en"),
        ("x" * HEADER_MAX + ",es", "en"),
    ],
)
def test_the_language_is_the_one_that_the_reader_wants_most(header: str, language: str) -> None:
    assert preferred(header) == language


@given(st.text(max_size=300) | st.text(alphabet="esn,;q=.01- ", max_size=60))
def test_whatever_stands_in_the_header_a_language_comes_of_it(header: str) -> None:
    assert preferred(header) in LANGUAGES


def test_spanish_is_no_english() -> None:
    english = {"the", "who", "agent", "agents", "queue", "it", "is", "waits", "because", "and", "of", "from"}
    for code, text in SPANISH.items():
        assert not english & set(re.sub(r"\{\w+\}", "", text).lower().split()), code
