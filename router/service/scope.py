"""What belongs to a team: its agents, what they have in hand, and the queues that they serve.

A supervisor of a team sees a contact when one of the team's agents has or had it, and, while nobody has it, when it
stands in a queue that one of them may serve. So what waits is seen by every team that could take it, and what is being
worked on by the team that does. This follows from the configuration alone, so nobody keeps a second list of it.
"""

from __future__ import annotations

import difflib

from router.engine import config as engine
from router.engine.matching import Profile
from router.engine.requirements import fits
from router.engine.views import InteractionView
from router.errors import Forbidden, NotFound
from router.service.ports import Desk
from router.service.roles import Identity

Teams = tuple[str, ...] | None


class Scope:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._version = -1
        self._config = engine.Config()
        self._serve: dict[tuple[str, tuple[str, ...]], bool] = {}

    def _fresh(self) -> None:
        version, document = self._desk.configuration()
        if version != self._version:
            self._config = engine.from_bytes(document)
            self._version = version
            self._serve.clear()

    def bands(self) -> tuple[str, ...]:
        self._fresh()
        return tuple(band.name for band in self._config.bands)

    def can_call(self) -> bool:
        """Whether a gateway can be told to call a customer."""
        self._fresh()
        return any(channel.calls for channel in self._config.channels.values())

    def called(self, shown: str) -> list[str]:
        """The agents whom the configuration names so, whatever the case."""
        self._fresh()
        return [name for name, one in self._config.agents.items() if one.name.casefold() == shown.casefold()]

    def agent(self, teams: Teams, name: str) -> bool:
        if teams is None:
            return True
        self._fresh()
        found = self._config.agents.get(name)
        return found is not None and found.team in teams

    def queue(self, teams: Teams, name: str) -> bool:
        if teams is None:
            return True
        self._fresh()
        key = (name, teams)
        if key not in self._serve:
            self._serve[key] = self._serves(name, teams)
        return self._serve[key]

    def _serves(self, queue: str, teams: tuple[str, ...]) -> bool:
        found = self._config.queues.get(queue)
        if found is None:
            return False
        wanted = found.requirement
        return any(
            fits(wanted, Profile(a.skills, a.languages, a.attributes, a.team, name))
            for name, a in self._config.agents.items()
            if a.team in teams
        )

    def interaction(self, teams: Teams, view: InteractionView) -> bool:
        if teams is None:
            return True
        if view.agent:
            return self.agent(teams, view.agent)
        return self.queue(teams, view.queue)

    def demand_known_queue(self, teams: Teams, name: str) -> None:
        """Raises NotFound with the nearest name that they may know."""
        self._fresh()
        if name in self._config.queues and self.queue(teams, name):
            return
        near = difflib.get_close_matches(name, [known for known in self._config.queues if self.queue(teams, known)], 1)
        raise NotFound(f"queue: there is no {name!r} here" + (f"; did you mean {near[0]!r}?" if near else ""))

    # What is beyond somebody's teams is refused by name, since what they asked for is a number or a name they know.

    def demand_agent(self, who: Identity, name: str) -> None:
        if not self.agent(who.teams, name):
            raise Forbidden(f"{name[:64]} is in none of your teams")

    def demand_queue(self, who: Identity, name: str) -> None:
        if not self.queue(who.teams, name):
            raise Forbidden(f"no team of yours serves {name[:64]}")

    def demand(self, who: Identity, view: InteractionView) -> None:
        if not self.interaction(who.teams, view):
            raise Forbidden(f"{view.id} is with none of your teams")
