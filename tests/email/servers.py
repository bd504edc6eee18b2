"""Real mail servers and clients as child processes, on ports and in folders of their own."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path
from typing import Self

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def missing(*programs: str) -> list[str]:
    """What is not installed; that root is needed counts as missing too."""
    absent = [program for program in programs if shutil.which(program, path=PATH) is None]
    return absent + ([] if os.geteuid() == 0 else ["root"])


async def run(*command: str, within_s: float = 60) -> tuple[int, str]:
    """Exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=os.environ | {"PATH": PATH}
    )
    async with asyncio.timeout(within_s):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode("utf-8", "replace")


class Server:
    """A server in the foreground, ended with its children."""

    def __init__(self, port: int, *command: str, folder: Path, env: dict[str, str] | None = None) -> None:
        self.port, self._command, self._folder = port, command, folder
        self._env = os.environ | {"PATH": PATH} | (env or {})

    async def __aenter__(self) -> Self:
        with open(self._folder / "server.out", "wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=said, stderr=said, env=self._env, start_new_session=True
            )
        async with asyncio.timeout(20):
            while not await self._listens():
                assert self._process.returncode is None, self.said()
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *gone: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def said(self) -> str:
        return (self._folder / "server.out").read_text(errors="replace")


class Postfix(Server):
    """Postfix with the configuration of deploy/postfix."""

    def __init__(self, folder: Path, lmtp: int, domain: str) -> None:
        port = free_port()
        # Open to the user that it runs as, which a test's own folder is not.
        self._place = tempfile.TemporaryDirectory(prefix="mx-", ignore_cleanup_errors=True)
        self.run = Path(self._place.name)
        self.run.chmod(0o755)
        env = {
            "RUN": str(self.run),
            "SMTP_PORT": str(port),
            "LMTP": f"127.0.0.1:{lmtp}",
            "DOMAINS": domain,
            "HOSTNAME_OUT": "mx.shop.example",
        }
        super().__init__(port, str(ROOT / "deploy" / "postfix" / "start"), folder=folder, env=env)

    async def __aexit__(self, *gone: object) -> None:
        # Its master leads a session of its own, so the end of ours would not reach it.
        await run("postfix", "-c", str(self.run / "etc"), "stop")
        await super().__aexit__(*gone)
        self._place.cleanup()

    def log(self) -> str:
        path = self.run / "maillog"
        return path.read_text(errors="replace") if path.exists() else ""

    def set_aside(self) -> int:
        """How many mails wait in the queue of those for later. The log says so a moment before it is true."""
        return sum(1 for one in (self.run / "spool" / "deferred").rglob("*") if one.is_file())

    async def flush(self) -> None:
        """Try what is deferred once more, now."""
        code, said = await run("postqueue", "-c", str(self.run / "etc"), "-f")
        assert code == 0, said


DOVECOT = """\
protocols = imap
base_dir = {run}/base
state_dir = {run}/state
log_path = {run}/dovecot.log
instance_name = test
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{run}/mail/%u
mail_uid = nobody
mail_gid = nogroup
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={run}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot(Server):
    """An IMAP server where everybody's password is `secret`."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self._place = tempfile.TemporaryDirectory(prefix="imap-")  # short: the name of a socket has 108 bytes
        self.run = Path(self._place.name)
        (self.run / "mail").mkdir()
        for path in (self.run, self.run / "mail"):
            path.chmod(0o777)
        config = self.run / "dovecot.conf"
        config.write_text(DOVECOT.format(run=self.run, port=port))
        super().__init__(port, "dovecot", "-F", "-c", str(config), folder=folder)

    async def __aexit__(self, *gone: object) -> None:
        await super().__aexit__(*gone)
        self._place.cleanup()

    def put(self, user: str, *messages: bytes) -> None:
        """Append these to the user's inbox, as a mail server would."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=10) as client:
            client.login(user, "secret")
            for message in messages:
                status, said = client.append("INBOX", "", "", message)
                assert status == "OK", said

    def flags(self, user: str, folder: str = "INBOX") -> list[bool]:
        """Of each message whether it was seen."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=10) as client:
            client.login(user, "secret")
            status, count = client.select(folder, readonly=True)
            if status != "OK" or count == [b"0"]:
                return []
            _, found = client.fetch("1:*", "(FLAGS)")
            return [b"\\Seen" in line for line in found if isinstance(line, bytes)]

    def create(self, user: str, folder: str) -> None:
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=10) as client:
            client.login(user, "secret")
            client.create(folder)

    def renumber(self, user: str) -> None:
        """Give the messages new numbers, as a restored or moved mailbox has."""
        for path in (self.run / "mail" / user).glob("dovecot*"):
            path.unlink()
