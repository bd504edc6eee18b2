"""How well the reader tells new words from old ones, and programs from people: figures over the corpora.

    python -m tests.email.measure

prints the tables that stand in docs/email.md. Words are compared as they stand, in order (the longest common
subsequence); a mail is judged with the envelope sender that mail of its kind has: nobody for bounces and automatic
replies, somebody for all else.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

from channels.email.automatic import look_closer
from channels.email.body import html_text, readable_text
from channels.email.parse import Letter, read_letter, with_findings
from channels.email.reply import split
from tests.email.corpora import corpus_files, expectations

KINDS = {"bounce": "bounce", "auto_reply": "auto-reply", "feedback_report": "report", "not_a_bounce": ""}
SOMEBODY = "somebody@sender.example"
REPLIES = {"reply-quoting": "body texts, a dozen languages", "reply-clients": "mail and pages of ten programs"}


def judged(raw: bytes, mail_from: str) -> Letter:
    """As the adapter judges a message."""
    letter = read_letter(raw, mail_from)
    return with_findings(letter, look_closer(raw)) if letter.suspect else letter


def new_words(path: Path) -> str:
    """What the reader takes for new in this file of a reply corpus."""
    if path.suffix == ".txt":
        return split(path.read_text("utf-8")).new
    if path.suffix == ".html":
        return split(html_text(path.read_text("utf-8", "replace"))).new
    return readable_text(path.read_bytes()).new


def wanted_words(expect: dict[str, str]) -> str:
    return expect["reply_text"] if "reply_text" in expect else expect["reply_text_ignoring_whitespace"]


def same_words(one: str, other: str) -> bool:
    return "".join(one.split()) == "".join(other.split())


def trimming() -> Iterator[tuple[str, str, str, str, str]]:
    """Corpus, files, exactly right, precision, recall; the two by words."""
    for folder, what in REPLIES.items():
        table, files = expectations(folder), corpus_files(folder)
        exact = common = found = wanted = 0
        for path in files:
            got, want = new_words(path), wanted_words(table[path.name])
            exact += same_words(got, want)
            ours, theirs = _units(got, want)
            common += sum(block.size for block in SequenceMatcher(None, ours, theirs, False).get_matching_blocks())
            found += len(ours)
            wanted += len(theirs)
        precision, recall = common / found, common / wanted
        yield f"{folder} ({what})", str(len(files)), str(exact), f"{precision:.3f}", f"{recall:.3f}"


def _units(got: str, want: str) -> tuple[list[str], list[str]]:
    """Words; letters where the corpus has no spaces between words."""
    if " " not in want and "\n" not in want:
        return list("".join(got.split())), list(want)
    return got.split(), want.split()


def samples() -> Iterator[tuple[str, str]]:
    """What each mail is, and what we take it for; both "" for a person's."""
    for path in corpus_files("bounces-and-autoreplies"):
        kind = KINDS[expectations("bounces-and-autoreplies")[path.name]["kind"]]
        nobody = kind in ("bounce", "auto-reply")
        yield kind, judged(path.read_bytes(), "<>" if nobody else SOMEBODY).auto
    for path in corpus_files("bounces-mixed"):
        expect = expectations("bounces-mixed")[path.name]
        if "bounce" in expect:
            # Without its envelope: that is how this corpus comes, and it is the harder question.
            yield "bounce" if expect["bounce"]["is_bounce"] else "", judged(path.read_bytes(), SOMEBODY).auto
    for path in corpus_files("reply-clients", (".eml",)):
        yield "", judged(path.read_bytes(), SOMEBODY).auto


def recognition() -> Iterator[tuple[str, str, str, str]]:
    """Kind, mails of it, precision, recall."""
    pairs = list(samples())
    for kind in ("bounce", "auto-reply", "report", "any of them"):
        everything = kind == "any of them"
        is_so = [bool(real) if everything else real == kind for real, _ in pairs]
        said = [bool(got) if everything else got == kind for _, got in pairs]
        hits = sum(a and b for a, b in zip(is_so, said, strict=True))
        yield kind, str(sum(is_so)), f"{hits / sum(said):.3f}", f"{hits / sum(is_so):.3f}"


def tables() -> str:
    lines = ["| corpus | files | exactly right | precision | recall |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in trimming()]
    lines += ["", "| what a program wrote | mails | precision | recall |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in recognition()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
