"""What outsiders are shown of an interaction."""

from msgspec import UNSET
from msgspec.structs import asdict, replace

from router.engine.config import Agent as Person
from router.engine.config import Channel, Config, Queue
from router.engine.entities import Remark, Summons, Suspension
from router.engine.events import Message
from router.engine.lookups import interaction_view
from router.engine.requirements import Node
from router.engine.views import MessageView, NoteView, brief
from tests.engine.support.office import Office

HOUSE = Config(
    skills=("sales", "tax"),
    channels={"walkin": Channel(consults=())},
    queues={"support": Queue(requirement=Node(any=(Node(skill="sales"), Node(skill="tax"))))},
    default_queue="support",
    agents={"ana": Person(skills={"tax": 3})},
)


def visited() -> Office:
    """Of everything that is shown there is something, and no two texts or numbers are alike."""
    office = Office(HOUSE, ready=("ana",))
    number = office.active(
        "walkin",
        identities=("ref:9",),
        sender="from",
        recipient="to",
        name="Name",
        subject="Subject",
        language="es",
        attributes={"site": "north"},
        message=Message("hello"),
    )
    item = office.item(number)
    item.held, item.wrap_up_until_ms, item.reason, item.disposition = True, 71, "why", "sold"
    item.misses, item.declines, item.connect_failures = 72, 73, 74
    item.remarks = [Remark(75, "ben", "remark")]
    item.born = replace(item.born, follows=76)
    office.state.summons[number] = Summons(number, 77, 78)
    office.state.suspensions[number] = Suspension(number, 79, 80)
    return office


def test_a_view_says_everything_in_its_place() -> None:
    office = visited()
    view = interaction_view(office.state, office.item(1), full=True)
    came = office.item(1).enqueued_at_ms
    assert asdict(view) == {
        "id": "i-1",
        "channel": "walkin",
        "direction": "inbound",
        "state": "active",
        "queue": "support",
        "customer": "ref:9",
        "sender": "from",
        "recipient": "to",
        "name": "Name",
        "subject": "Subject",
        "language": "es",
        "enqueued_at_ms": came,
        "requirement": {"any": ({"skill": "sales"}, {"skill": "tax"})},
        "matched_skills": ("tax",),
        "attributes": {"site": "north"},
        "agent": "ana",
        "on_hold": True,
        "connected": False,
        "wrap_up_until_ms": 71,
        "band": "normal",
        "reason": "why",
        "disposition": "sold",
        "follows": "i-76",
        "misses": 72,
        "declines": 73,
        "connect_failures": 74,
        "calls": 78,
        "show_by_ms": 77,
        "suspended": True,
        "suspended_since_ms": 79,
        "suspended_ms": 80,
        "messages": (MessageView("customer", came, "hello"),),
        "notes": (NoteView("ben", 75, "remark"),),
        "consult": UNSET,
        "unable": ("consult",),
    }


def test_what_is_not_full_is_brief_at_once() -> None:
    office = visited()
    item, ana = office.item(1), office.state.agents["ana"]
    assert interaction_view(office.state, item, ana) == brief(interaction_view(office.state, item, ana, full=True))
