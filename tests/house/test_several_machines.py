"""deploy/ for several machines: what starts there has good settings, and the formats please their checkers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from router.__main__ import cli
from router.journal import redis_scripts
from router.settings import load
from tests.house.pages import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
KUBERNETES = DEPLOY / "kubernetes" / "switchboard.yaml"
HOUSE = DEPLOY / "compose" / "router.toml"
NAMED = re.compile(r"\$\{(\w+):\?\}")

Json = dict[str, Any]


def secrets() -> dict[str, str]:
    lines = (DEPLOY / "compose" / "example.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def processes() -> dict[str, tuple[list[str], dict[str, str]]]:
    """Ours: what each is started with, and its environment."""
    known = secrets()
    services: Json = yaml.safe_load(COMPOSE.read_text())["services"]
    found = {
        name: (one["command"], {k: NAMED.sub(lambda m: known[m[1]], v) for k, v in one["environment"].items()})
        for name, one in services.items()
        if one["image"] == "switchboard"
    }
    told = {
        f"SWITCHBOARD__{name}": known[value]
        for name, value in (
            ("JOURNAL__PASSWORD", "REDIS_PASSWORD"),
            ("LINK__SECRET", "LINK_SECRET"),
            ("CHAT__TOKEN_SECRET", "CHAT_SECRET"),
            ("OPERATORS__TOKENS", "OPERATOR_TOKENS"),
            ("AGENT_LINK__TOKENS", "AGENT_TOKENS"),
        )
    }
    for pod in (x["spec"]["template"]["spec"] for x in manifests() if x["kind"] == "StatefulSet"):
        for container in pod["containers"]:
            own = {e["name"]: e["value"].replace("$(POD)", "pod-0") for e in container.get("env", ()) if "value" in e}
            found[f"pod {container['name']}"] = (container["args"], told | own)
    return found


def manifests() -> list[Json]:
    return list(yaml.safe_load_all(KUBERNETES.read_text()))


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("name", processes())
def test_each_process_has_settings_that_are_good_for_its_role(name: str) -> None:
    (verb, *options), env = processes()[name]
    assert verb == "serve"
    known = {name for option in cli.commands[verb].params for name in option.opts}
    told = dict(zip(options[::2], options[1::2], strict=True))
    assert told.keys() <= known
    assert told["--config"] == "/etc/switchboard/router.toml"
    settings = load(HOUSE, env).settings
    settings.check_roles(frozenset({told["--roles"]}))
    assert (settings.link.listen != "") == (told["--roles"] == "engine")


def test_what_is_mounted_and_copied_is_there() -> None:
    services: Json = yaml.safe_load(COMPOSE.read_text())["services"]
    mounts = [mount.split(":")[0] for one in services.values() for mount in one.get("volumes", ())]
    for path in (mount for mount in mounts if mount.startswith(".") and not mount.endswith("/tls")):
        assert (COMPOSE.parent / path).exists(), path
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "container" / "Containerfile").read_text(), re.MULTILINE)
    assert copied
    for path in (path for line in copied for path in line.split()):
        assert (ROOT / path).exists(), path


def test_the_proxy_knows_the_edges_by_their_names() -> None:
    services: Json = yaml.safe_load(COMPOSE.read_text())["services"]
    edges = {name for name, one in services.items() if "edge" in one.get("command", ())}
    text = (DEPLOY / "nginx" / "switchboard.conf").read_text()
    assert set(re.findall(r"server (\S+):8080 ", text)) == set(re.findall(r"server (\S+):8081 ", text)) == edges


def test_redis_gets_the_rights_that_are_shipped() -> None:
    shipped = (DEPLOY / "redis" / "users.acl").read_text()
    rights = re.search(r"^user switchboard .*?(-@all .*)$", shipped, re.MULTILINE)
    assert rights is not None
    command: str = yaml.safe_load(COMPOSE.read_text())["services"]["redis"]["command"][2]
    given = re.search(r"rights='([^']*)'", command)
    assert given is not None
    assert given[1].split() == rights[1].split()


def test_the_rights_that_are_shipped_are_enough_for_every_script() -> None:
    """Commands of a script are asked for one by one, also those of a rare turn."""
    given = (DEPLOY / "redis" / "users.acl").read_text().split()
    scripts = [script for script in vars(redis_scripts).values() if isinstance(script, redis_scripts.Script)]
    called = {name for script in scripts for name in re.findall(r"redis\.call\('(\w+)'", script.text)}
    assert called, "they call something"
    assert {name for name in called if f"+{name.lower()}" not in given} == set()


def test_the_manifests_are_what_kubernetes_takes() -> None:
    for one in manifests():
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_selectors_find_their_pods_and_ports_their_names() -> None:
    everything = manifests()
    pods = [x["spec"]["template"] for x in everything if x["kind"] == "StatefulSet"]
    for service in (x for x in everything if x["kind"] == "Service"):
        wanted = service["spec"]["selector"].items()
        (found,) = [pod for pod in pods if wanted <= pod["metadata"]["labels"].items()]
        open_ports = {p["containerPort"] for c in found["spec"]["containers"] for p in c["ports"]}
        assert {port["port"] for port in service["spec"]["ports"]} <= open_ports


def test_every_file_here_is_one_that_somebody_is_told_of() -> None:
    page = (ROOT / "docs" / "machines.md").read_text()
    for folder in ("compose", "kubernetes", "nginx", "container"):
        assert f"deploy/{folder}" in page
    assert Path(HOUSE).exists()
