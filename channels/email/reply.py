"""The words that are new in a mail, apart from what it quotes and how it is signed.

Every line gets a letter by what it looks like, and what is kept is decided on the letters:

    t  text            q  quoted           b  a line (or several) that introduces what was written before
    e  empty           h  a header field   d  a delimiter, with a signature behind it   s  a telephone's advertisement

Nothing is thrown away: `Split` has all three parts, and people can unfold what was taken off. In doubt a line counts as
new, because a question that nobody sees is worse than a quote that everybody sees.

Why not a library: of the two that are kept up, mail-parser-reply gets 17 of the 43 mails of the corpus right (it takes
lists and greetings for signatures) and needs half a minute for one hostile line. This reader looks at each line once;
every expression is anchored and works on a line cut to LINE_MAX (docs/email.md has figures).
"""

from __future__ import annotations

import re
from typing import NamedTuple

LINES_MAX = 2_000  # lines that are looked at; what comes after them belongs to what stands there
LINE_MAX = 300  # characters of a line that are looked at
SPAN_MAX = 5  # lines that an introduction may be wrapped over
TRIES_MAX = 300  # lines looked at closely, because a name, an address or a time stands in them
AFTERWORD = 7  # so many lines behind a quote are an answer below it; fewer are a signature or a footer


class Split(NamedTuple):
    new: str
    signature: str = ""
    quoted: str = ""


# Who wrote something, in the words that mail programs put before a quote.
_VERBS = (
    r"wrote|writes|schrieb|geschrieben|hat am|écrit|ecrit|escribió|escribio|ha scritto|scrisse|scrive|geschreven"
    r"|schreef|napisał(?:a|\(a\))?|napisal|skrev|skriver|escreveu|написал[аи]?|пишет|пише|писал[аи]?|kirjoitti|yazdı|escrigué"
    r"|va escriure|napsala?|napísala?|a scris|írta|написа|schreibt|rašė|rakstīja|έγραψε"
    r"|写道|寫道|写信|のメール|작성|כתב"
)
_OPENERS = (
    r"on|le|el|am|op|em|den|il|dnia|w dniu|at|på|pe|dne|in data|no dia|a|kl|om|dana|em qua|ср|чт|пт|сб|вс|пн|вт|在|于"
)
_INTRODUCTION = re.compile(rf"(?:.*\s)?(?:{_VERBS}).{{0,200}}[:：]\s*\Z", re.IGNORECASE | re.DOTALL)
_OPENER = re.compile(rf"(?:{_OPENERS})\b", re.IGNORECASE)
_WHEN = re.compile(r"\d{1,2}[:.h]\d\d|\b(?:19|20)\d\d\b|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_ADDRESS = re.compile(r"[<(\[]?\s*(?:mailto:)?[^\s<>@]{1,80}@[^\s<>@]{1,120}")
_SENTENCE_END = re.compile(r"(?:\S+\s+){6}.*[^\W\d_]{2}[.!?]\Z")  # not an ordinal, as in "am 28."
_DATED_ADDRESS = re.compile(r"\s*\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b.{0,160}<\s*[^<>\s]+@[^<>\s]+>:?\s*\Z", re.DOTALL)
_NAMED = re.compile(rf"[^:]{{0,120}}<[^<>\s]+@[^<>\s]+>[^:]{{0,40}}(?:{_VERBS}).{{0,60}}:\s*\Z", re.I | re.DOTALL)

_FORWARDED = re.compile(
    r"\W{0,60}(?:begin forwarded message|forwarded message|original message|original mail|ursprüngliche nachricht"
    r"|original-nachricht|originalnachricht|weitergeleitete nachricht|message d'origine|message original"
    r"|message transféré|message transmis|mensaje original|mensaje reenviado|messaggio originale|messaggio inoltrato"
    r"|oorspronkelijk bericht|doorgestuurd bericht|mensagem original|mensagem encaminhada|oprindelig meddelelse"
    r"|opprinnelig melding|videresendt melding|ursprungligt meddelande|vidarebefordrat meddelande|wiadomość oryginalna"
    r"|oryginalna wiadomość|původní zpráva|исходное сообщение|пересылаемое сообщение|пересланное сообщение"
    r"|alkuperäinen viesti|özgün ileti|eredeti üzenet|mesajul original|原始邮件|原始郵件|转发的邮件|元のメッセージ"
    r"|원본 메시지|reply above this line.{0,20}|bitte antworten sie oberhalb dieser linie)\W{0,60}",
    re.IGNORECASE,
)

_FROM = (
    r"from|von|de|da|van|fra|från|od|от|від|lähettäjä|kimden|feladó|expéditeur|remitente|mittente|afzender|nadawca"
    r"|发件人|寄件者|差出人|보낸 사람|מאת|من"
)
_FIELD = (
    r"sent|date|to|subject|cc|bcc|reply-to|importance|organization|gesendet|datum|an|betreff|antwort an|kopie"
    r"|envoyé|envoyé le|date d'envoi|à|objet|enviado|enviado el|fecha|para|asunto|assunto|data|inviato|a|oggetto"
    r"|risposta|verzonden|aan|onderwerp|sendt|til|emne|dato|skickat|till|ämne|wysłano|do|temat|data wysłania|odesláno"
    r"|komu|předmět|дата|кому|тема|отправлено|lähetetty|vastaanottaja|aihe|gönderilen|kime|konu|发送时间|收件人|主题"
    r"|抄送|日期|送信日時|宛先|件名|보낸 날짜|받는 사람|제목|נושא|תאריך|אל"
)
_HEADER = re.compile(rf"[\s*>|]{{0,8}}(?:({_FROM})|{_FIELD})[\s*]{{0,3}}[:：]", re.IGNORECASE)

_QUOTE = re.compile(r"\s{0,3}(?:[>|]|[A-Za-z]{1,20}>\s)")
_FENCE = re.compile(r"\s{0,3}(?:```|~~~\w)")
_SIGNATURE = re.compile(r"\s*(?:--|__|—|––|―|ᐧ)\s*\Z")
_RULER = re.compile(r"\s*(?:[-*#_~=+ᐧ—–―]\s?){2,}\s*\Z")

# What telephones and programs put under a message by themselves, in whole lines.
_ADVERT = re.compile(
    r"[\s<(\[*_-]{0,6}(?:"
    r"(?:sent|gesendet|verschickt|envoyé|envoyée|enviado|enviada|inviato|inviata|verzonden|verstuurd|sendt|skickat"
    r"|wysłan[eoa]|odesláno|отправлено|lähetetty|gönderildi|trimis)\s.{0,80}"
    r"|(?:von meine[mr]|diese nachricht wurde von).{0,80}(?:gesendet|verschickt)"
    r"|get .{0,4}outlook for .{0,80}|outlook für .{0,40}|téléchargez outlook .{0,60}|obtener outlook .{0,60}"
    r"|(?:\w+\s){0,2}from (?:my )?(?:mobile|iphone|ipad|android|phone).{0,30}"
    r"|envoyé de mon .{0,60}|從我的.{0,30}傳送|发自我的.{0,30}|從.{0,20}傳送|iphoneから送信.{0,10}"
    r""
    r"|나의 .{0,30}에서 보냄|diese nachricht wurde von .{0,80}|ceci a été envoyé .{0,60}|mit .{0,30}gesendet"
    r"|via .{0,30} verstuurd"
    r")[\s>)\].!*_]{0,6}\Z",
    re.IGNORECASE,
)
_OF_A_DEVICE = re.compile(
    r"(?i)\b(?:from|via|with|by|von|mit|depuis|de mon|desde|dal|da|met|van|vanaf|fra|från|z|ze|mého|с|via|med|iz)\b"
    r"|傳送|送信|发自|보냄|outlook|galaxy|nachricht"
)


def split(text: str) -> Split:
    """The new words of a plain text, its signature, and all else. Never raises; linear in the length."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    letters = _letters(lines[:LINES_MAX])
    letters += "t" * (len(lines) - len(letters))
    keep, signed = _choose(letters)
    new = "\n".join(line for line, kept in zip(lines, keep, strict=True) if kept).strip("\n")
    signature = "\n".join(line for line, mine in zip(lines, signed, strict=True) if mine).strip("\n")
    rest = [n for n in range(len(lines)) if not keep[n] and not signed[n]]
    return Split(new.rstrip(), signature, "\n".join(lines[n] for n in rest).strip("\n"))


# --- what a line looks like -------------------------------------------------------------------------------------------


def _letters(lines: list[str]) -> str:
    cut = [line[:LINE_MAX] for line in lines]
    letters = _in_fences(cut)
    at, tries = 0, 0
    while at < len(cut):
        if letters[at] != "?":
            at += 1
            continue
        may = tries < TRIES_MAX and _may_introduce(cut[at])
        tries += may
        span = _introduction(cut, letters, at) if may else 0
        for one in range(at, at + span):
            letters[one] = "b"
        if not span:
            letters[at] = _letter(cut[at])
        at += span or 1
    return "".join(letters)


def _in_fences(lines: list[str]) -> list[str]:
    """Code between fences is text whatever it looks like; a fence that is not closed is none."""
    fences = [n for n, line in enumerate(lines) if _FENCE.match(line)]
    letters = ["?"] * len(lines)
    for start, end in zip(fences[::2], fences[1::2], strict=False):
        letters[start : end + 1] = "t" * (end + 1 - start)
    return letters


def _letter(line: str) -> str:
    if not line.strip():
        return "e"
    if _QUOTE.match(line):
        return "q"
    if _FORWARDED.fullmatch(line):
        return "b"
    if _SIGNATURE.match(line):
        return "d"
    if _RULER.match(line):
        return "r"
    if _ADVERT.match(line) and _OF_A_DEVICE.search(line):
        return "s"
    return "h" if _HEADER.match(line) else "t"


def _may_introduce(line: str) -> bool:
    first = line.lstrip(" >|*")
    return bool(first) and bool(_WHEN.search(first) or _ADDRESS.search(first) or _OPENER.match(first))


def _introduction(lines: list[str], letters: list[str], at: int) -> int:
    """How many lines from here say who wrote what follows, and when; 0: none."""
    joined, blanks = "", 0
    for count in range(1, SPAN_MAX + 2):
        if at + count > len(lines) or letters[at + count - 1] != "?":
            return 0
        piece = lines[at + count - 1].strip().lstrip(">| ")
        if not piece:
            blanks += 1
            if blanks > 1 or not _WHEN.search(joined):
                return 0
            continue
        joined = f"{joined} {piece}" if joined else piece
        if len(joined) > 2 * LINE_MAX:
            return 0
        if _introduces(joined, _next_is_quoted(lines, at + count)):
            return count
        if _SENTENCE_END.search(piece):
            return 0
    return 0


def _introduces(joined: str, quoted: bool) -> bool:
    if _DATED_ADDRESS.match(joined) or _NAMED.match(joined):
        return True
    if not _INTRODUCTION.match(joined) or not (_WHEN.search(joined) or _ADDRESS.search(joined)):
        return False
    return quoted or bool(_OPENER.match(joined)) or bool(_ADDRESS.search(joined))


def _next_is_quoted(lines: list[str], at: int) -> bool:
    following = next((line for line in lines[at : at + 4] if line.strip()), "")
    return bool(_QUOTE.match(following))


# --- what is kept -----------------------------------------------------------------------------------------------------


def _choose(letters: str) -> tuple[list[bool], list[bool]]:
    """For each line whether it is new, and whether it belongs to the signature."""
    count = len(letters)
    keep, signed = [True] * count, [False] * count

    def drop(start: int, end: int) -> None:
        keep[start:end] = [False] * (end - start)

    end = _end_by_headers(letters)
    mark = _end_by_introduction(letters[:end])
    at_the_end = mark < 0
    if at_the_end:
        drop(0, -mark)
    else:
        end = min(end, mark)
    end = _end_by_ruler(letters, end)
    drop(end, count)
    start = -mark if at_the_end else 0
    if (at := letters.find("d", start, end)) >= 0:
        signed[at:end] = [True] * (end - at)
        drop(at, end)
        end = at
    for n in range(start, end):
        if letters[n] in "sb":
            keep[n], signed[n] = False, letters[n] == "s"
    _drop_trailing_quotes(letters, start, end, keep)
    if not any(kept and letter in "tqhr" for kept, letter in zip(keep, letters, strict=True)):
        return _of_a_quote_alone(letters)
    return keep, signed


def _of_a_quote_alone(letters: str) -> tuple[list[bool], list[bool]]:
    """Nothing is new: what is only a quote is shown, unless somebody else introduced it."""
    shown = bool(letters) and "b" not in letters and "t" not in letters and letters.count("q") == 1
    return [shown] * len(letters), [not shown and letter in "ds" for letter in letters]


def _end_by_headers(letters: str) -> int:
    """Where a block of header fields begins that follows some text: everything from there on is an older mail."""
    run, first = 0, 0
    for n, letter in enumerate(letters):
        if letter == "h":
            first = n if not run else first
            run += 1
            if run >= 3 and any(x in "tq" for x in letters[:first]):
                return first
        elif letter == "t" and run and n + 1 < len(letters) and letters[n + 1] == "h":
            continue  # a field that was wrapped
        elif letter != "e" or run == 0:
            run = 0
    return len(letters)


def _end_by_introduction(letters: str) -> int:
    """Where the new words end because an older mail is introduced; negative: where an answer below a quote begins."""
    first = letters.find("b")
    if first < 0:
        return len(letters)
    tail = len(letters)
    while tail and letters[tail - 1] in "teds":
        tail -= 1
    body = letters[:tail]
    below = letters[tail:]
    words = below.split("d")[0].count("t")
    if "t" not in body and "q" in body and words:
        return -tail
    if "q" not in letters[first:] and "t" in letters[:first]:
        return first
    last = _last_introduction(body)
    if last >= 0 and "t" in letters[:last] and words < AFTERWORD and "t" not in body[last:]:
        return last
    return len(letters)


def _last_introduction(body: str) -> int:
    """The first line of what is introduced and goes on to the end as quotes, headers and further introductions."""
    at = len(body)
    while at and body[at - 1] in "eqbhr":
        at -= 1
    return found if (found := body.find("b", at)) >= 0 else -1


def _end_by_ruler(letters: str, end: int) -> int:
    """A line of dashes right before what was cut off belongs to it, and so do those at the end."""
    while end and letters[end - 1] in "er":
        end -= 1
    return end


def _drop_trailing_quotes(letters: str, start: int, end: int, keep: list[bool]) -> None:
    """A quote that ends the message stands there by habit; where it stands alone it is the message."""
    if not any(letter in letters[start:end] for letter in "tb"):
        return
    while end > start and letters[end - 1] in "eqsbr":
        end -= 1
        keep[end] = False
