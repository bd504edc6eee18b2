"""Files under `config/` are used as they stand, and the reference tells of every option there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import msgspec.inspect
import pytest
from msgspec import Struct
from msgspec.structs import fields

from channels.registry import KINDS
from router.cli import reference
from router.engine.config import NAME, Almanac, Config, Duration
from router.engine.requirements import Node
from router.errors import ConfigError
from router.settings import SHAPES, Settings, load, parse

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "config").glob("*.toml"))
DEV = (ROOT / "config/dev.toml").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_configuration_can_be_used(path: Path) -> None:
    load(path, env={})


def test_the_reference_file_is_what_the_settings_say_of_themselves() -> None:
    assert (ROOT / "config/router.toml").read_text() == reference.text(), "run: ./run reference > config/router.toml"


def structs(kind: type[Struct], seen: set[type[Struct]]) -> set[type[Struct]]:
    if kind not in seen and kind.__name__ != "Node":
        seen.add(kind)
        for f in fields(kind):
            inner, _ = reference._inner(f.type)
            if inner is not None:
                structs(inner, seen)
    return seen


@pytest.mark.promise("OB-4")
def test_every_option_stands_in_the_reference_with_its_default() -> None:
    text = (ROOT / "config/router.toml").read_text()
    everything: set[type[Struct]] = set()
    roots: list[type[Struct]] = [Settings, Config, *(entry.settings for entry in KINDS.values())]
    for kind in roots:
        structs(kind, everything)
    for kind in everything - {Almanac}:  # which is worked out, never written
        for f in fields(kind):
            if (kind.__name__, f.name) in reference.WORKED_OUT:
                continue
            if f.name == "adapters" or reference._inner(f.type)[0] not in (None, Node):
                continue
            default = f.default if f.default is not msgspec.NODEFAULT else None
            if isinstance(default, str | int | float | bool | Duration) and (kind.__name__, f.name) != (
                "Listener",
                "port",
            ):
                assert f"{f.encode_name} = {reference.toml(default)}" in text, f"{kind.__name__}.{f.name}"
            else:
                assert re.search(rf"^(# )*{re.escape(f.encode_name)} =", text, re.MULTILINE), (
                    f"{kind.__name__}.{f.name}"
                )


def test_the_reference_decodes_to_the_defaults() -> None:
    loaded = load(ROOT / "config/router.toml", env={})
    plain = parse(b"")
    assert msgspec.structs.replace(loaded.settings, adapters={}) == plain.settings
    assert loaded.config.presence == plain.config.presence
    assert loaded.config.memory == plain.config.memory


# What is written wrongly, where the error must point, and words that it must hold.
MISTAKES = [
    ('target = "60s"', 'target = "60x"', "channels.chat.target", "a duration such as"),
    ("cap = 3", 'cap = "3"', "channels.chat.cap", "a whole number, found '3'"),
    ('skill = "sales"', 'skill = "sale"', "queues.sales.requirement.skill", "did you mean 'sales'"),
    ("weight = 1.5", "wieght = 1.5", "queues.sales.wieght", "expected the option 'weight', found 'wieght'"),
    ("[chat]", "[chat]\nzzz = 1", "chat.zzz", "expected a known option, found 'zzz'"),
    ("[kiosk]", '[kiosk]\ntexts.titel = "Hi"', "kiosk.texts.titel", "expected the option 'title', found 'titel'"),
    ('skill = "sales"', 'skil = "sales"', "queues.sales.requirement.skil", "expected the option 'skill', found 'skil'"),
    ("[kiosk]", "[stop]\nnow = 1\n[kiosk]", "stop.now", "expected a known option (intake, outbox, edges), found 'now'"),
    ('secrets = ["dev-secret"]', 'secrets = ["x"]', "phone.gateways.dev.secrets[0]", "a text of at least 8 characters"),
    ('secrets = ["dev-secret"]', "secrets = []", "phone.gateways.dev.secrets", "a list of at least 1 entries"),
    ("[kiosk]", "[masking]\npatterns = []\n[kiosk]", "masking.patterns", "a table, found []"),
    (
        'skill = "sales"',
        'skill = "sales", language = "en"',
        "queues.sales.requirement",
        "expected exactly one of skill, language",
    ),
    ('secrets = ["dev-secret"]', "", "phone.gateways.dev.secrets", "a value, found nothing"),
    ('name = "written"\nqueue = "mailroom"', 'name = "written"\nqueue = "mailrom"', "rules[3].queue", "'mailroom'"),
    ("'language == \"es\"'", "'langage == \"es\"'", "rules[0].when", "a CEL expression"),
    ('dev-ana = "ana"', 'dev-ana = "anna"', "agent_link.tokens", "'ana'"),
    ("[kiosk]", "[kiosks]", "kiosks", "'kiosk'"),
    (
        "support = 5, mailroom = 3",
        "support = 50, mailroom = 3",
        "agents.ana.skills.support",
        "a whole number of at most 10",
    ),
    ("[channels.chat]", "[channels.chatt]", "channels.chatt", "'chat', as rules[0].channel calls it, found 'chatt'"),
    ("[channels.fax]", "[channels.faxx]", "channels.faxx", "'fax', as rules[3].channel calls it, found 'faxx'"),
    ('data = "var"', "data = ", "line 4, column 8", "expected TOML, found invalid value"),
    ('data = "var"', "[data", "line 4, column 6", "expected ']' at the end of a table declaration"),
    ('data = "var"', 'data = "v\\u0000"', "data", "the path of a folder"),
    ('data = "var"', f"data = {'[' * 5_000}", "file", "far too many"),
    ('data = "var"', f"data = {'9' * 5_000}", "file", "TOML"),
    ('target = "60s"', 'target = "4000d"', "channels.chat.target", "at most ten years"),
    ('target = "60s"', f'target = "{"9" * 5_000}d"', "channels.chat.target", "a duration such as"),
    (
        'mail_to = "support@localhost"',
        'mail_to = "suport@localhost"',
        "chat.offline.mail_to",
        "one of email.addresses, which mail is taken for, found 'suport@localhost'",
    ),
    ('kind = "generic"', 'kind = "generc"', "phone.gateways.dev.kind", "one of 'generic', "),
    ('agent_lost = "stay"', 'agent_lost = "go"', "channels.phone.agent_lost", "one of 'return', 'stay', found 'go'"),
    ('wrap_up = { mode = "optional" }', 'wrap_up = { mode = "" }', "queues.support.wrap_up.mode", "one of 'forced'"),
    ('channel = "fax"\n', 'channel = "faks"\n', "scan.folders.fax.channel", "one of chat, email"),
    ('outbox_folder = "outbox"', 'outbox_folder = "a/../../b"', "email.outbox_folder", "below the data folder"),
    ('outbox_folder = "outbox"', 'outbox_folder = "/tmp/b"', "email.outbox_folder", "below the data folder"),
    ("[kiosk]", '[http]\nhost = "0.0.0.0"\n[kiosk]', "http.host", "since operators.tokens has demo tokens"),
    ("[kiosk]", '[http]\ncertificate = "x.pem"\n[kiosk]', "http.certificate", "together"),
    ("[kiosk]", "[sockets]\nport = 8080\n[kiosk]", "sockets.port", "a port of its own, found 8080, that of http.port"),
    ("[kiosk]", "[email.smtp]\nport = 2424\n[kiosk]", "email.lmtp.port", "that of email.smtp.port"),
    ("[kiosk]", '[scan.folders.x]\npath = "drop/fax/"\n[kiosk]', "scan.folders.x.path", "that of fax"),
    ("[kiosk]", '[scan.folders.x]\npath = "quarantine"\n[kiosk]', "scan.folders.x.path", "a folder of its own"),
    ("[kiosk]", '[scan.folders.x]\npath = "../x"\n[kiosk]', "scan.folders.x.path", "a folder of its own"),
    ("[kiosk]", '[sockets]\nhost = "::"\n[kiosk]', "sockets.host", "since operators.tokens has demo tokens"),
]


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(("right", "wrong", "path", "words"), MISTAKES, ids=[f"{m[2]}-{m[3]}" for m in MISTAKES])
def test_a_mistake_is_named_with_its_path_and_what_would_be_right(
    right: str, wrong: str, path: str, words: str
) -> None:
    assert right in DEV
    with pytest.raises(ConfigError) as caught:
        parse(DEV.replace(right, wrong, 1).encode())
    assert caught.value.path == path
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = [1,\n", "line 2, column 1: expected TOML, found invalid value"),
        (b"[chat]\n[stop]\n[chat]\n", "line 3, column 6: expected each table once, found chat a second time"),
        (b"\xef\xbb\xbfdata = [", "line 1, column 9: expected TOML, found invalid value"),
        (
            'log_level = "info"\ndata = "Señal"'.encode("latin-1"),
            "line 2, column 11: expected text in UTF-8, found the byte 0xf1; save the file as UTF-8",
        ),
        (
            "data".encode("utf-16"),
            "line 1, column 1: expected text in UTF-8, found the byte 0xff; save the file as UTF-8",
        ),
        (
            b'\xef\xbb\xbfdata = "\xbf"',
            "line 1, column 9: expected text in UTF-8, found the byte 0xbf; save the file as UTF-8",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_line_and_column_first(content: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(content)
    assert str(refused.value) == said


@pytest.mark.promise("OB-4")
def test_a_channel_table_that_is_like_another_and_fed_is_not_taken_for_misspelt() -> None:
    folder = '[scan.folders.letters]\nchannel = "mails"\n[channels.mails]\n'
    with pytest.raises(ConfigError) as refused:
        parse((DEV.replace("[channels.mail]", "[channels.post]") + folder).encode())
    assert refused.value.path == "rules[3].channel"


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('[queues."süd"]', "queues.süd: expected a name of a-z, 0-9, _ . -, found 'süd'"),
        ('[queues.a]\n[queues.b]\n[queues."B"]', "queues.B: expected a name of a-z, 0-9, _ . -, found 'B'"),
        (
            '[queues.a]\n[agents.x]\nhandle_times={a="3s"}\n[agents.y]\nhandle_times={"A b"="3s"}',
            "agents.y.handle_times.A b: expected a name of a-z, 0-9, _ . -, found 'A b'",
        ),
        ('[phone.gateways."Ä"]', "phone.gateways.Ä: expected a name of a-z, 0-9, _ . -, found 'Ä'"),
        (
            'teams = ["-x"]',
            "teams[0]: expected a name of a-z, 0-9, _ . - that begins with a letter or digit and has at most 64 of "
            "them, found '-x'",
        ),
        (
            '[agent_link.tokens]\nsome-token = "nobody"',
            "agent_link.tokens: expected a configured agent, and no agent is configured, found 'nobody'",
        ),
    ],
)
def test_a_name_that_cannot_be_one_is_told_with_its_path(document: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document.encode())
    assert str(caught.value) == said


@pytest.mark.promise("OB-4")
def patterns(kind: msgspec.inspect.Type, seen: set[type]) -> Iterator[str]:
    """What texts of these settings must look like."""
    match kind:
        case msgspec.inspect.StrType(pattern=str(pattern)):
            yield pattern
        case msgspec.inspect.Metadata(type=inner):
            yield from patterns(inner, seen)
        case msgspec.inspect.UnionType(types=several):
            for one in several:
                yield from patterns(one, seen)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            yield from patterns(key, seen)
            yield from patterns(value, seen)
        case msgspec.inspect.ListType(item_type=inner) | msgspec.inspect.VarTupleType(item_type=inner):
            yield from patterns(inner, seen)
        case msgspec.inspect.StructType(cls=cls, fields=options) if cls not in seen:
            seen.add(cls)
            for option in options:
                yield from patterns(option.type, seen)


@pytest.mark.promise("OB-4")
def test_nobody_is_shown_a_regular_expression() -> None:
    roots: list[type[Struct]] = [Settings, Config, *(entry.settings for entry in KINDS.values())]
    found = {pattern for root in roots for pattern in patterns(msgspec.inspect.type_info(root), set())}
    assert found - {NAME}, "there are some beside names"
    assert {pattern for pattern in found if repr(pattern) not in SHAPES} == {NAME}, "which are told otherwise"


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("ACCOUNTS__SESSION", '"0s"', "accounts.session: expected at least 1m, found 0s"),
        ("ACCOUNTS__SESSION", '"59s"', "accounts.session: expected at least 1m, found 59s"),
        ("ACCOUNTS__TICKET", '"0s"', "accounts.ticket: expected at least 1s, found 0s"),
        ("JOURNAL__LEASE", '"0s"', "journal.lease: expected 500 ms to 600 s, found 0s"),
        (
            "PHONE__GATEWAYS__MAIN__LEASE",
            '"0s"',
            "phone.gateways.main.lease: expected a duration of at least 1s, found '0s'",
        ),
        ("CHAT__SWEEP", '"0s"', "chat.sweep: expected a duration of at least 1ms, found '0s'"),
        ("LINK__SILENCE", '"10ms"', "link.silence: expected 300 ms to 600 s, found 10ms"),
        ("JOURNAL__PREFIX", '"a b"', "journal.prefix: expected 1 to 64 letters, digits, _ . -, found 'a b'"),
        (
            "JOURNAL__DURABILITY",
            '"some"',
            """journal.durability: expected "everysec", "always", or "wait:N" with 1 to 9 replicas, found 'some'""",
        ),
        ("LINK__NAME", '"a b"', "link.name: expected at most 64 letters, digits, _ . : -, found 'a b'"),
        ("DESK__CUSTOMER_FIELDS", '["a", "b", "a"]', "desk.customer_fields[2]: expected each of them once, found 'a'"),
        ("DESK__REASONS", '["a", "a"]', "desk.reasons[1]: expected each of them once, found 'a'"),
        (
            "FIGURES__SHORT",
            '"26h"',
            "figures.short: expected no longer than figures.keep (1d1h), or all who leave would leave too soon to "
            "count, found 1d2h",
        ),
        (
            "SCAN__READING__DETECT",
            '["en", "xx"]',
            'scan.reading.detect[1]: expected the code of a language that can be told from others, such as "en", '
            '"es" or "de", found \'xx\'',
        ),
        (
            "SCAN__READING__DETECT",
            '["en"]',
            "scan.reading.detect: expected at least two languages, or none, found 'en'",
        ),
        ("EMAIL__LANGUAGES", '["en", "en"]', "email.languages[1]: expected each language once, found 'en'"),
    ],
)
def test_what_cannot_be_meant_is_told_in_words(option: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(DEV.encode(), {f"SWITCHBOARD__{option}": value})
    assert str(refused.value) == said


def test_json_that_is_nested_too_deeply_is_a_mistake_like_any_other() -> None:
    with pytest.raises(ConfigError, match="far too many"):
        parse(b'{"a":' * 100_000)


@pytest.mark.promise("OB-6")
def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(DEV.replace('secrets = ["dev-secret"]', "secrets = [815815815]").encode())
    assert "815815815" not in str(caught.value)


@pytest.mark.promise("OB-6")
def test_a_token_with_a_wrong_value_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(b"[agent_link.tokens]\nhush-hush = 5")
    assert "hush-hush" not in str(caught.value)
    assert caught.value.path == "agent_link.tokens.(a token)"


def exposed(http: str, sockets: str, operator: str, agent: str) -> bytes:
    """A house whose ports are these, with a token each."""
    document = {
        "agents": {"ana": {}},
        "http": {"host": http, "behind_proxy": True},
        "sockets": {"host": sockets},
        "operators": {"tokens": {operator: "olga"}},
        "agent_link": {"tokens": {agent: "ana"}},
    }
    return msgspec.json.encode(document)


HERE, GOOD = "127.0.0.1", "sixteen-letters!"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.promise("OB-6", "OB-4")
@pytest.mark.parametrize(("http", "sockets", "open_one"), [("::", HERE, "http"), (HERE, "::", "sockets")])
@pytest.mark.parametrize(
    ("operator", "agent", "path", "whose"),
    [("op", GOOD, "operators.tokens", "olga"), (GOOD, GOOD[:15], "agent_link.tokens", "ana")],
)
def test_a_token_that_can_be_guessed_is_refused_where_others_can_try_it(
    http: str, sockets: str, open_one: str, operator: str, agent: str, path: str, whose: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(exposed(http, sockets, operator, agent))
    assert str(refused.value) == (
        f"{path}: expected tokens of at least 16 characters, since {open_one}.host is not this machine only, "
        f"found a shorter one, that of {whose}"
    )


@pytest.mark.promise("OB-6", "OB-4")
@pytest.mark.parametrize(("http", "sockets", "path"), [("::", HERE, "http.host"), (HERE, "::", "sockets.host")])
@pytest.mark.parametrize(("operator", "agent"), [("dev-operator-of-the-demo", GOOD), (GOOD, "dev-agent-of-the-demo")])
def test_a_token_that_everybody_knows_is_refused_there_too(
    http: str, sockets: str, path: str, operator: str, agent: str
) -> None:
    with pytest.raises(ConfigError, match="has demo tokens") as refused:
        parse(exposed(http, sockets, operator, agent))
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("host", "operator", "agent"), [("::", GOOD, GOOD + "2"), ("::", GOOD, DIGEST), (HERE, "op", "dev-ana")]
)
def test_long_tokens_may_be_tried_by_others_and_short_ones_on_this_machine(
    host: str, operator: str, agent: str
) -> None:
    parse(exposed(host, host, operator, agent))


def test_the_environment_overrides_single_values() -> None:
    loaded = parse(DEV.encode(), {"SWITCHBOARD__HTTP__PORT": "9090", "SWITCHBOARD__LOG_LEVEL": "debug", "OTHER": "x"})
    assert loaded.settings.http.port == 9090
    assert loaded.settings.log_level == "debug"


def test_the_demo_is_what_the_contract_says() -> None:
    loaded = load(ROOT / "config/dev.toml", env={})
    assert set(loaded.config.agents) == {"ana", "ben", "chen", "dora", "sam"}
    assert set(loaded.config.queues) == {"support", "sales", "mailroom"}
    assert loaded.settings.agent_link.tokens == {f"dev-{name}": name for name in loaded.config.agents}
    assert "dev-operator" in loaded.settings.operators.tokens
    assert loaded.settings.adapters["phone"].gateways["dev"].secrets == ("dev-secret",)
    assert set(loaded.settings.adapters["email"].addresses) == {"support@localhost", "sales@localhost"}
    assert set(loaded.settings.adapters["kiosk"].topics) == {"support", "sales"}


def test_a_mark_at_the_beginning_that_some_editors_write_is_no_mistake() -> None:
    assert parse(b"\xef\xbb\xbf" + DEV.encode()) == parse(DEV.encode())
