"""Rules against one another on the same contacts: who keeps its targets best where it matters most.

A contest is judged by its worst-served class, with a guard on the slowest hundredth, so that no rule wins by letting
late contacts go. Every rule that the configuration offers takes part; the default one also as a planner would set it
for this very scenario (`set_for`): with slow second skills kept back, where short runs on other contacts than those it
is judged by say that it is worth it. Weights need no setting: the default rule finds them.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from router.simulate import stationary
from router.simulate.model import DEFAULT, Model, Policy

Step = Callable[[int, int], None]
Found = dict[str, float]

BASELINE = Policy("fcfs", "longest_idle")
RIVALS = ("priority", "deadline", "ratio", "queue-ratio", "round-robin", "share-of-target", "adaptive")
TRIAL_PART = 0.2  # of the judged run's length, for each trial of what may be set
WORTH = 0.01  # so much must the worst-served class gain before anything is set
APART = 1.1  # agents whose mean handle times differ by less count as equally fast


def name_of(policy: Policy) -> str:
    """As in the cases: "contact rule|agent rule", with what was set for the scenario."""
    after = f" after {policy.after:g} s" if policy.after is not None else ""
    return f"{policy.contact}{after}|{policy.agent}"


def choice_for(model: Model) -> str:
    """What a planner would choose: by rank where ranks differ, by speed where speeds do, else who can do least."""
    if any(skill.rank for group in model.groups for skill in group.skills.values()):
        return "best-level"
    for x in model.classes:
        means = [group.skills[x.name].mean for group in model.groups if x.name in group.skills]
        if means and max(means) > APART * min(means):
            return "fastest"
    return "least-flexible" if len({len(group.skills) for group in model.groups}) > 1 else "longest-idle"


def slow_second_skills(model: Model) -> bool:
    """Whether second-rank skills take longer: only then is it worth keeping them back."""
    for x in model.classes:
        able = [group.skills[x.name] for group in model.groups if x.name in group.skills]
        first = min((skill.rank for skill in able), default=0)
        quick = [skill.mean for skill in able if skill.rank == first]
        if any(skill.mean > APART * max(quick) for skill in able if skill.rank > first):
            return True
    return False


def one(model: Model, policy: Policy, count: int, warm_up: int, seed: int, step: Step | None = None) -> Found:
    """One rule, with what it gains over first come, first served on the same contacts."""
    found = stationary.run(model, count, warm_up, seed, policy, step)
    if policy != BASELINE:
        base = stationary.run(model, count, warm_up, seed, BASELINE, step)
        return found | {"gain": found["min_sl_x"] - base["min_sl_x"], "baseline_min_sl_x": base["min_sl_x"]}
    return found | {"gain": 0.0}


def set_for(model: Model, count: int, seed: int, step: Step | None = None) -> Policy:
    """The default rule, set for the scenario where that is worth it."""
    plain = Policy(DEFAULT, choice_for(model))
    if not slow_second_skills(model):
        return plain
    later = kept_back(model, plain)
    level, gained = (stationary.run(model, count, count // 20, seed, x, step)["min_sl_x"] for x in (plain, later))
    return later if gained > level + WORTH else plain


def kept_back(model: Model, policy: Policy) -> Policy:
    """The rule, with second skills used only for what has waited the shortest target."""
    return replace(policy, after=min(x.target for x in model.classes))


def rivals(model: Model) -> list[Policy]:
    choice = choice_for(model)
    found = [BASELINE, *(Policy(name, choice) for name in RIVALS)]
    if slow_second_skills(model):
        found += [kept_back(model, Policy(rule, choice)) for rule in ("share-of-target", "adaptive")]
    return found


def run(model: Model, count: int, warm_up: int, seed: int, step: Step | None = None) -> tuple[str, dict[str, Found]]:
    """The name of the rule that a planner would take by default, and what each rule came to."""
    default = set_for(model, max(1, round(count * TRIAL_PART)), seed + 1_000, step)
    found = {
        name_of(policy): stationary.run(model, count, warm_up, seed, policy, step)
        for policy in dict.fromkeys([*rivals(model), default])
    }
    base = found[name_of(BASELINE)]["min_sl_x"]
    for metrics in found.values():
        metrics["gain"] = metrics["min_sl_x"] - base
        metrics["baseline_min_sl_x"] = base
    return name_of(default), found
