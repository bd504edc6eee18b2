"""What the rules of routing are worth: contests at equal staff, and how quickly the simulator tells.

Five designs of the literature: V (one group for all classes), N (specialists for one class, generalists for both), M
(specialists on both sides and a shared middle), W (two groups with a class in common) and X (everybody can do both, the
second skill slower). Everybody wants 80 % within the target; judged is the class that is served worst. All rules see
the same contacts. The floor is first come, first served with the longest idle agent.
"""

from __future__ import annotations

import time

from router.bench.measure import Figures, Step, medians
from router.bench.report import Row
from router.simulate import contest, stationary
from router.simulate.model import Class, Group, Model, Policy, Skill

CONTACTS, CONTACTS_QUICK = 100_000, 2_000
REAL_TIME = 1_000  # times, that the simulator has to reach with 100 agents


def _classes(*rates_and_targets: tuple[float, float], patience: float | None = None) -> tuple[Class, ...]:
    return tuple(Class(f"k{i}", rate, target, patience) for i, (rate, target) in enumerate(rates_and_targets))


def _group(name: str, agents: int, *means: float | None) -> Group:
    """`means` by class, None for what the group cannot do; what takes longer is a second skill."""
    able = {f"k{i}": mean for i, mean in enumerate(means) if mean is not None}
    best = min(able.values())
    return Group(name, agents, {name: Skill(mean, rank=int(mean > best)) for name, mean in able.items()})


DESIGNS: dict[str, Model] = {
    "V": Model(_classes((0.0375, 20), (0.05625, 60), (0.09375, 180)), (_group("g", 48, 240, 240, 240),)),
    "N": Model(_classes((1 / 12, 20), (1 / 15, 60)), (_group("spec", 14, 240, None), _group("gen", 26, 240, 240))),
    "M": Model(
        _classes((0.075, 20), (0.075, 60)),
        (_group("a", 12, 240, None), _group("both", 16, 240, 240), _group("b", 12, None, 240)),
    ),
    "W": Model(
        _classes((0.05, 20), (0.05, 60), (0.05, 180)),
        (_group("g0", 20, 240, 240, None), _group("g1", 20, None, 240, 240)),
    ),
    "X": Model(
        _classes((0.075, 20), (0.075, 60), patience=600), (_group("g0", 20, 240, 300), _group("g1", 20, 300, 240))
    ),
}


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    count = CONTACTS_QUICK if quick else CONTACTS
    figures: dict[str, list[Figures]] = {"100 agents at 90 %": [_speed(count, step) for _ in range(rounds)]}
    rows = list(_speed_rows(medians(figures)["100 agents at 90 %"]))
    for design, model in DESIGNS.items():
        step(f"design {design}")
        chosen, found = contest.run(model, count, count // 10, 1)
        for policy, metrics in found.items():
            figures[f"{design} {policy}"] = [_kept(metrics)]
        rows += _design_rows(design, chosen, found)
    return rows, figures


def _kept(metrics: dict[str, float]) -> Figures:
    tails = {name: value for name, value in metrics.items() if name.endswith((".p99", ".sl_x"))}
    return {"min_sl_x": metrics["min_sl_x"], "gain": metrics["gain"], **tails}


def _speed(count: int, step: Step) -> Figures:
    """Contacts of 180 s for 100 agents who are busy for 90 % of the time, first come, first served."""
    step("the simulator's speed")
    model = Model((Class("c", 0.5),), (Group("g", 100, {"c": Skill(180)}),))
    start = time.process_time()
    found = stationary.run(model, count, count // 10, 1, Policy("fcfs", "longest_idle"))
    took = time.process_time() - start
    contacts = count * 1.1
    return {"interactions_per_s": contacts / took, "times": contacts / 0.5 / took, "occupancy": found["g.occupancy"]}


def _speed_rows(found: Figures) -> list[Row]:
    times, rate = found["times"], found["interactions_per_s"]
    return [
        Row(
            number="EX-3",
            at_least=True,
            what="simulated time to CPU time, 100 agents at 90 %",
            unit="x",
            product=times,
            floor=REAL_TIME,
            ratio=times / REAL_TIME,
            must=1,
            aim=10,
        ),
        Row(what="interactions simulated in a second of CPU", unit="/s", product=rate, number="EX-3"),
    ]


def _design_rows(design: str, chosen: str, found: dict[str, dict[str, float]]) -> list[Row]:
    """The default order as a planner would set it, and the best rule on offer."""
    base = found[contest.name_of(contest.BASELINE)]["min_sl_x"]
    best = max(found, key=lambda name: found[name]["min_sl_x"])
    return [
        Row(
            number="RT-1",
            what=f"{design}: worst-served class in time, {name}",
            unit="%",
            product=100 * found[name]["min_sl_x"],
            floor=100 * base,
            ratio=found[name]["min_sl_x"] / base,
            at_least=True,
            must=1 if name == chosen else 0,
            aim=1 if name == chosen else 0,
            note=kind,
        )
        for kind, name in (("default", chosen), ("best on offer", best))
    ]
