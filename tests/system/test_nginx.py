"""A real nginx in front, with the file that is shipped: TLS, websockets, and an edge that is not there."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.house.pages import ROOT
from tests.support.ports import free_ports
from tests.system.clients import call_event, phone
from tests.system.conftest import QUICK
from tests.system.daemon import LOOK_S, Daemon

pytestmark = pytest.mark.system
SHIPPED = ROOT / "deploy" / "nginx" / "switchboard.conf"
TRUSTED = {f"SWITCHBOARD__{part}__TRUSTED_PROXIES": '["127.0.0.1"]' for part in ("HTTP", "SOCKETS")}


def nginx() -> str:
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip("nginx is not installed; ./run test installs it where it may")
    return found


def certificate(folder: Path) -> None:
    """For localhost, by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


class Front:
    """nginx from the shipped file, where only names, ports and paths are put in."""

    def __init__(self, folder: Path, edges: dict[str, str]) -> None:
        self.port = free_ports(1)[0]
        certificate(folder)
        text = SHIPPED.read_text().replace("/etc/nginx/tls", str(folder)).replace("listen 443", f"listen {self.port}")
        for name, at in edges.items():
            assert name in text
            text = text.replace(f"server {name} ", f"server {at} ")
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "" if os.getuid() else "user root;\n"  # its workers write into our folder
        config = folder / "nginx.conf"
        config.write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{paths}{text}}}\n"
        )
        self._command = [nginx(), "-e", "stderr", "-p", str(folder), "-c", str(config)]
        self.tls = ssl.create_default_context(cafile=str(folder / "cert.pem"))

    def __enter__(self) -> Front:
        checked = subprocess.run([*self._command, "-t"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        return self

    async def listens(self) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(LOOK_S)
                else:
                    writer.close()
                    return

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.mark.promise("DU-5", "OB-6")
async def test_everybody_gets_through_over_tls_though_one_edge_is_away(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data", QUICK | TRUSTED) as edge:
        http, sockets = (url.rpartition("/")[2] for url in (edge.http, edge.socket))
        gone = [f"127.0.0.1:{port}" for port in free_ports(2)]  # nobody listens there
        at = {"edge-1:8080": gone[0], "edge-2:8080": http, "edge-1:8081": gone[1], "edge-2:8081": sockets}
        (tmp_path / "nginx").mkdir()
        with Front(tmp_path / "nginx", at) as front:
            await front.listens()
            base = f"https://localhost:{front.port}"
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=front.tls)) as session:
                async with session.get(f"{base}/livez") as answer:
                    assert answer.status == 200
                taken = [await phone(session, base, call_event("incoming", f"call-{n}")) for n in range(6)]
                assert {status for status, _ in taken} == {200}
                assert len({body["interaction"] for _, body in taken}) == 6
                async with session.get(f"{base}/metrics") as answer:
                    assert answer.status == 404
                socket = f"wss://localhost:{front.port}/agent"
                async with session.ws_connect(socket, protocols=["switchboard.agent.v1"]) as ana:
                    await ana.send_json({"type": "hello", "token": "dev-ana"})
                    assert (await ana.receive_json())["type"] == "welcome"
