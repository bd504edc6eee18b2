"""What `switchboard check` says of a configuration that is no mistake, and may well be one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from channels.chat.adapter import ChatAdapter
from channels.email.adapter import EmailAdapter
from channels.kiosk.adapter import KioskAdapter
from channels.phone.adapter import PhoneAdapter
from channels.registry import KINDS
from router.__main__ import cli
from router.cli.doubts import TWO_LETTERS
from router.cli.notes import notes
from router.desk.settings import PUT_IN
from router.service.language import KNOWN
from router.settings import parse
from tests.system.daemon import CONFIG, DOMAINS

DEV = CONFIG.read_text()


def said(document: str) -> list[str]:
    return list(notes(parse(document.encode())))


def test_of_the_demo_there_is_nothing_to_say() -> None:
    assert said(DEV) == []


@pytest.mark.promise("OB-4")
def test_a_topic_that_no_rule_takes_is_noted() -> None:
    assert 'default_topic = "support"' in DEV
    (note,) = said(DEV.replace('default_topic = "support"', 'default_topic = "suport"'))
    assert note.startswith("chat.default_topic: what comes to 'suport' is refused")


def test_with_a_default_queue_every_address_leads_somewhere() -> None:
    assert said('default_queue = "support"\n' + DEV.replace('default_topic = "support"', 'default_topic = "x"')) == []


def test_a_file_that_is_not_there_is_noted_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "there.pem").write_text("a certificate")
    section = f'[http]\ncertificate = "{tmp_path}/there.pem"\nprivate_key = "{tmp_path}/gone.pem"\n'
    assert said(DEV + section) == ["http.private_key: there is no such file on this machine"]


@pytest.mark.promise("OB-4")
def test_a_data_folder_that_cannot_be_one_is_noted_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        (note,) = said(f'data = "{folder}"\n' + plan())
        assert note.startswith(
            f"data: on this machine {tmp_path}/file is no folder, so `serve` does not start; name another"
        )
    assert said(f'data = "{tmp_path}/new/below"\n' + plan()) == []
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that keeps no files")
def test_a_data_folder_where_no_file_can_be_kept_is_noted() -> None:
    (note,) = said('data = "/proc/nowhere"\n' + plan())
    assert note.startswith("data: on this machine /proc ")


def test_a_file_of_a_channel_is_named_by_its_whole_path() -> None:
    tls = '[email.tls]\ncertificate = "gone.pem"\nkey = "gone.key"\n'
    assert said(DEV + tls) == [
        f"email.tls.{name}: there is no such file on this machine" for name in ("certificate", "key")
    ]


def test_check_says_good_and_then_its_notes(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(DEV.replace('default_topic = "support"', 'default_topic = "suport"'))
    told = CliRunner().invoke(cli, ["check", "--config", str(tmp_path / "my.toml")])
    assert told.exit_code == 0
    first, second = told.output.splitlines()
    assert ": good (" in first
    assert second.startswith("note: chat.default_topic: ")


def plan(*parts: str) -> str:
    """A small house that there is nothing to say of, and what is added to it."""
    return "\n".join((SMALL, *parts))


SMALL = """
skills = ["repairs"]
[channels.phone]
[channels.chat]
[queues.first]
requirement = { skill = "repairs" }
[agents.ana]
skills = { repairs = 3 }
languages = ["en", "pt-BR", "gsw"]
[[rules]]
name = "calls"
queue = "first"
channel = ["phone"]
"""


def rule(name: str, queue: str = "first", **conditions: object) -> str:
    lines = [f"{option} = {value}" for option, value in conditions.items()]
    return "\n".join(["[[rules]]", f'name = "{name}"', f'queue = "{queue}"', *lines])


def test_of_a_small_house_that_works_there_is_nothing_to_say() -> None:
    assert said(plan()) == []


# --- several machines, and what others can reach ----------------------------------------------------------------------

REDIS = """
[journal]
kind = "redis"
[phone]
[chat]
token_secret = "a secret that all machines share, long"
"""
BLOBS = '[blobs]\nfolder = "/mnt/blobs"\n'
PARTED = DEV.replace("[chat]\n", '[chat]\ntoken_secret = "a secret that all machines share, long"\n') + DOMAINS + BLOBS


@pytest.mark.promise("OB-4")
def test_content_that_stays_on_one_machine_is_noted() -> None:
    (note,) = said(plan(REDIS))
    assert note.startswith("blobs.folder: name storage that all machines mount")
    assert said(plan(REDIS, BLOBS)) == []


@pytest.mark.promise("OB-4")
def test_what_engines_and_edges_of_routing_domains_lack_is_noted_by_its_option() -> None:
    parted = PARTED + '[journal]\nkind = "redis"\n'
    listen, secret = said(parted)
    assert listen.startswith("link.listen: engines of routing domains need it")
    assert secret.startswith("link.secret: engines and edges of routing domains need it")
    assert said(parted + '[link]\nlisten = "10.0.0.5:8091"\nsecret = "known to all of them"\n') == []


@pytest.mark.promise("OB-4", "OB-6")
def test_what_a_channel_will_refuse_beyond_this_machine_is_noted() -> None:
    beyond = '[http]\nhost = "0.0.0.0"\nbehind_proxy = true\n[operators.tokens]\n"sixteen-letters!" = "olga"\n'
    gateway = '[phone.gateways.own]\nkind = "generic"\nsecrets = ["{}"]\n[kiosk]\ntoken = "{}"\n[chat]\n'
    phone, kiosk = said(plan(beyond, gateway.format("dev-secret", "")))
    assert phone.startswith("phone.gateways.own.secrets: expected secrets of your own")
    assert kiosk.startswith("kiosk.token: expected a token of your own")
    assert said(plan(beyond, gateway.format("own-secret", "own-token-of-kiosks"))) == []
    assert said(plan(gateway.format("dev-secret", ""))) == []


# --- where contacts come from -----------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4")
def test_a_channel_by_which_nothing_comes_is_noted_with_the_one_that_may_be_meant() -> None:
    note = "nothing brings contacts in by a channel of this name"
    assert said(SMALL.replace("[channels.chat]", "[channels.chatt]")) == [
        f"channels.chatt: {note}; did you mean 'chat'?"
    ]
    assert said(plan("[channels.pigeon]")) == [
        f"channels.pigeon: {note}; there are chat, email, fax, mail, phone, walkin"
    ]


@pytest.mark.promise("OB-4")
def test_a_channel_of_a_house_that_scan_folders_name_is_known_and_others_are_not() -> None:
    scan = '[phone]\n[chat]\n[scan.folders.pigeons]\nchannel = "pigeon"\n'
    assert said(plan(scan, "[channels.pigeon]")) == []
    (note,) = said(plan(scan, "[channels.pigeon]\n[channels.fax]"))
    assert note.startswith("channels.fax: nothing brings contacts in by a channel of this name")


@pytest.mark.promise("OB-4")
def test_a_page_that_begins_in_a_language_that_nobody_can_choose_is_noted() -> None:
    kiosk = '[phone]\n[chat]\n[kiosk]\npage_language = "{}"\n'
    offered = 'languages = { es = "Español", ca = "Català" }\n'
    assert said(plan(kiosk.format("de") + offered)) == [
        "kiosk.page_language: no button leads back to 'de', as it is not one of kiosk.languages (es, ca)"
    ]
    (note,) = said(plan(kiosk.format("xx")))
    assert note.startswith("kiosk.page_language: 'xx' is no language; write a code")
    assert said(plan(kiosk.format("es-MX") + offered)) == []
    assert said(plan(kiosk.format("de"))) == []


@pytest.mark.promise("OB-4")
def test_a_channel_whose_section_is_left_out_is_noted() -> None:
    assert said(plan("[chat]")) == [
        "channels.phone: nothing brings contacts in by it, since there is no section [phone]"
    ]
    (note,) = said(plan("[phone]\n[chat]\n[channels.fax]"))
    assert note.endswith("since there is no section [scan]")


def test_the_registry_names_the_channels_of_the_adapters_that_it_builds() -> None:
    adapters = {
        "phone": PhoneAdapter.channels,
        "email": EmailAdapter.channels,
        "chat": ChatAdapter.channels,
        "kiosk": KioskAdapter.channels,
    }
    for kind, channels in adapters.items():
        assert KINDS[kind].channels(KINDS[kind].settings()) == set(channels)


# --- where contacts go ------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4")
def test_that_nothing_can_be_routed_is_noted() -> None:
    assert said("") == ["queues: there are none, so nothing can be routed"]
    assert said("[queues.a]\n[agents.ana]") == [
        "rules: there are none, and no default_queue, so whatever comes is refused"
    ]
    assert said('default_queue = "a"\n[queues.a]') == ["agents: there are no agents, so what comes waits for nobody"]


@pytest.mark.promise("OB-4")
def test_a_queue_into_which_nothing_comes_by_itself_is_noted() -> None:
    (note,) = said(plan("[queues.second]"))
    assert note.startswith("queues.second: no rule leads here, and nothing else in this file")


@pytest.mark.parametrize(
    "way",
    [
        '[queues.first.when_nobody]\ndo = "move"\nqueue = "second"',
        '[queues.first.unservable]\npolicy = "move"\nqueue = "second"',
        '[[queues.first.overflow]]\nto = "second"\nwait = "60s"\nbelow = "30s"',
        '[[queues.first.relax]]\nafter = "60s"\nqueue = "second"',
        '[channels.phone.no_show]\ndo = "move"\nqueue = "second"',
        rule("chats", channel=["chat"], relax='[{ after = "60s", queue = "second" }]'),
        rule("chats", "second", channel=["chat"]),
    ],
)
def test_a_queue_is_led_to_by_whatever_moves_contacts_there(way: str) -> None:
    assert said(plan("[queues.second]", way)) == []


def test_a_queue_is_not_led_to_by_one_into_which_nothing_comes() -> None:
    more = said(
        plan(
            "[queues.second]\nmax_length = 1\n[queues.third]", '[queues.second.when_full]\ndo = "move"\nqueue = "third"'
        )
    )
    assert [note.partition(":")[0] for note in more] == ["queues.second", "queues.third"]


@pytest.mark.promise("OB-4")
def test_rules_behind_one_that_takes_everything_are_noted_once() -> None:
    late = (rule("chats", channel=["chat"]), rule("some", channel=["chat"], to=["a"], when="'to == \"a\"'"))
    assert said(plan(rule("rest"), *late)) == [
        "rules[2]: 'chats' and 'some' are never reached, since 'rest' before them already takes all of that; "
        "put narrower rules first"
    ]


def test_a_rule_of_which_others_took_one_part_each_is_noted_with_all_of_them() -> None:
    more = (rule("a", channel=["chat"], to=["a"]), rule("b", channel=["chat"], to=["b"]))
    (note,) = said(plan(*more, rule("late", channel=["phone", "chat"], to=["a", "b"])))
    assert note.startswith("rules[3]: 'late' is never reached, since 'calls', 'a' and 'b' before it already take all")


@pytest.mark.parametrize(
    "later",
    [
        rule("shops", channel=["phone", "chat"]),  # of chats it is the first
        rule("chats", channel=["chat"]),
        rule("asked", channel=["chat"], when="'language == \"es\"'") + "\n" + rule("chats", channel=["chat"]),
        rule("one", channel=["chat"], to=["a"]) + "\n" + rule("two", channel=["chat"], to=["a", "b"]),
    ],
)
def test_a_rule_for_which_something_is_left_is_not_noted(later: str) -> None:
    assert said(plan(later)) == []


# --- who could take them ----------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4", "RT-9")
@pytest.mark.parametrize(
    ("asks", "lacks"),
    [
        ('{ skill = "repairs", level = 4 }', "skill 'repairs' at level 4"),
        ('{ skill = "repairs", op = ">", level = 3 }', "skill 'repairs' at level > 3"),
        ('{ language = "es" }', "language 'es'"),
        ('{ any = [{ language = "es" }, { language = "de" }] }', "language 'es' or language 'de'"),
        ('{ all = [{ language = "en" }, { language = "es" }] }', "language 'es'"),
        ('{ not = { language = "en" } }', "what is asked for"),
    ],
)
def test_what_is_asked_for_and_nobody_has_is_noted(asks: str, lacks: str) -> None:
    then = "what comes waits for somebody to be added"
    assert said(plan(rule("chats", channel=["chat"], requirement=asks))) == [
        f"rules[1].requirement: no agent of this file has {lacks}; {then}"
    ]
    asked = f"[queues.second]\nrequirement = {asks}\n" + rule("chats", "second", channel=["chat"])
    assert said(plan(asked)) == [f"queues.second.requirement: no agent of this file has {lacks}; {then}"]


def test_what_two_people_have_and_nobody_alone_is_noted() -> None:
    ben = '[agents.ben]\nlanguages = ["es"]'
    (note,) = said(plan(ben, rule("chats", channel=["chat"], requirement='{ language = "es" }')))
    assert "no agent of this file has all that is asked for at once" in note


@pytest.mark.parametrize(
    "asks",
    ['{ skill = "repairs", level = 3 }', '{ language = "pt" }', '{ any = [{ language = "es" }, { language = "en" }] }'],
)
def test_what_somebody_has_is_not_noted(asks: str) -> None:
    assert said(plan(rule("chats", channel=["chat"], requirement=asks))) == []


def test_what_becomes_of_it_is_told() -> None:
    hard = 'requirement = { skill = "repairs", level = 9 }'
    chats = rule("chats", "second", channel=["chat"])
    eased = f'[queues.second]\n{hard}\nrelax = [{{ after = "60s", lower = {{ repairs = 2 }} }}]'
    (note,) = said(plan(eased, chats))
    assert note.endswith("; what comes waits until its plan asks for less")
    moved = f'[queues.second]\n{hard}\nrelax = [{{ after = "60s", queue = "first" }}]'
    (note,) = said(plan(moved, chats))
    assert note.endswith("; what comes waits until its plan moves it")
    (note,) = said(plan(f'[queues.second]\n{hard}\nunservable = {{ policy = "end" }}', chats))
    assert note.endswith("; what becomes of it is said by unservable.policy, 'end'")


@pytest.mark.promise("OB-4")
def test_who_fits_must_be_of_the_same_routing_domain() -> None:
    parted = PARTED + '[journal]\nkind = "redis"\n[link]\nlisten = "10.0.0.5:8091"\nsecret = "known to all of them"\n'
    apart = parted.replace("skills = { mailroom = 5, support = 1 }", "skills = { support = 1 }")
    apart = apart.replace("skills = { support = 5, sales = 5, mailroom = 5 }", "skills = { support = 5, sales = 5 }")
    assert apart.count("mailroom = 3") == 1, "who is of the other domain has it"
    assert said(apart) == [
        "queues.mailroom.requirement: no agent of this file has skill 'mailroom' at level 1; "
        "what comes waits for somebody to be added"
    ]


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("tag", ["englsh", "English", "jp", "en_US", ""])
def test_a_language_that_is_none_is_noted(tag: str) -> None:
    (note,) = said(SMALL.replace('"gsw"', f'"{tag}"'))
    assert note == f'agents.ana.languages: {tag!r} is no language; write a code such as "en" or "pt-BR"'


def test_a_language_that_many_have_wrong_is_noted_once() -> None:
    (note,) = said(plan(*(f'[agents.a{n}]\nlanguages = ["jp"]' for n in range(3))))
    assert note.startswith("agents.a0.languages (and 2 more): 'jp' is no language")


def test_every_code_of_two_letters_is_known_that_can_be_told_from_a_text() -> None:
    assert {code for code in KNOWN if len(code) == 2} <= TWO_LETTERS
    assert len(TWO_LETTERS) == 185, "ISO 639-1 has 183 codes, and two were withdrawn"


# --- what agents write ------------------------------------------------------------------------------------------------


def template(text: str) -> str:
    return f'[[desk.queues.first.templates]]\nname = "Hello"\ntext = "{text}"'


@pytest.mark.promise("OB-4")
def test_a_field_that_templates_do_not_have_is_noted() -> None:
    at = "desk.queues.first.templates[0].text"
    assert said(plan(template("Hello {nme}, {order}!"))) == [
        f"{at}: {{nme}} is no field, and stays in the text as it stands; did you mean {{name}}?",
        f"{at}: {{order}} is no field, and stays in the text as it stands; fields are name, agent, subject",
    ]
    assert said(plan(template("Hello {name}, {agent} has {subject} {} {1}"))) == []


def test_the_page_fills_in_the_fields_that_are_known_here() -> None:
    page = (CONFIG.parents[1] / "router" / "desk" / "web" / "js" / "texts.js").read_text()
    assert re.findall(r"replace\(/\\\{\((\S+)\)\\\}/g", page) == ["|".join(PUT_IN)]
