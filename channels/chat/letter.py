"""What a visitor leaves where nobody can talk, written as the mail that it becomes. Pure.

The same letter always has the same bytes (no date, an id made of who wrote it and what they called it), so that sending
it again after a cut is the same mail once more, and the mail channel knows it.
"""

from __future__ import annotations

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8


def letter(
    *, visitor: str, ident: str | int, to: str, subject: str, email: str, name: str, language: str, text: str
) -> bytes:
    """Addresses were checked when they were read. Raises ValueError for what is no address of mail after all."""
    wide = not (email + to).isascii()
    message = EmailMessage(policy=SMTPUTF8 if wide else SMTP)
    message["From"] = Address(name, addr_spec=email)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = " ".join(subject.split())
    digest = hashlib.sha256(f"{visitor}\n{ident}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<chat.{digest}@{to.rpartition('@')[2]}>"
    message.set_content(text)  # which drops all headers of the content
    if language:
        message["Content-Language"] = language
    return message.as_bytes()
