"""Pictures of what the simulator found, as files. Readable in print and by the colour-blind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router.errors import ConfigError
from router.simulate.compare import Comparison
from router.simulate.report import Interval, Report
from router.simulate.scenario import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
KINDS = (".png", ".svg", ".pdf")
MANY = 6  # so many queues have a line of their own; of more, the worst do


def check(file: Path) -> None:
    """Refuse what no picture could be written to, before an hour of simulation. Raises ConfigError."""
    if file.suffix not in KINDS:
        raise ConfigError("--plot", f"a file that ends in {', '.join(KINDS)}", repr(str(file)))
    if not file.parent.is_dir():
        raise ConfigError("--plot", "a file in a folder that exists", repr(str(file)))
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ConfigError("--plot", "a file that may be written", repr(str(file)))


def draw(report: Report, scenario: Scenario, file: Path) -> None:
    """A run of a scenario: demand and staff, service level, waits, and how evenly people are busy."""
    figure = _page(2, 2, f"{report.scenario}: {report.contacts:,} contacts, seed {report.seed}")
    (demand, level), (waits, people) = figure.subplots(2, 2)
    _demand(demand, report.intervals)
    _levels(level, report, worst_queues(report), scenario.goal.sl_x)
    _waits(waits, report)
    _people(people, report)
    _save(figure, file)


def draw_replay(was: Report, then: Report, file: Path) -> None:
    """What was on the left, the same contacts under the other configuration on the right, to the same scale."""
    figure = _page(4, 2, f"{was.contacts:,} contacts: what was (left), and under the other configuration (right)")
    panels = figure.subplots(4, 2)
    staff = []
    shown = list(dict.fromkeys((*worst_queues(was), *worst_queues(then))))[:MANY]
    for column, report in enumerate((was, then)):
        demand, level, waits, people = panels[:, column]
        staff.append(_demand(demand, report.intervals))
        _levels(level, report, shown)
        _waits(waits, report)
        _people(people, report)
    for left, right in (*panels, staff):
        highest = max(left.get_ylim()[1], right.get_ylim()[1])
        left.set_ylim(top=highest)
        right.set_ylim(top=highest)
    _save(figure, file)


def _page(rows: int, columns: int, title: str) -> Figure:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure as Page

    figure = Page(figsize=(6.5 * columns, 4.2 * rows), layout="constrained", dpi=110)
    figure.suptitle(title, fontsize=13)
    return figure


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else None)


def _axis(axes: Axes, title: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_ylabel(y)
    axes.grid(visible=True, axis="y", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _times(axes: Axes, intervals: list[Interval]) -> list[int]:
    """Every interval has its place; about eight of them are named."""
    every = -(-len(intervals) // 8) or 1
    axes.set_xticks(range(0, len(intervals), every), [x.at for x in intervals[::every]])
    return list(range(len(intervals)))


def _demand(axes: Axes, intervals: list[Interval]) -> Axes:
    """The axis of people, beside that of contacts, is answered."""
    x = _times(axes, intervals)
    axes.bar(x, [i.offered for i in intervals], color="#BBBBBB", label="contacts offered", width=0.9)
    _axis(axes, "Demand and staff", "contacts per interval")
    staff = axes.twinx()
    staff.plot(x, [i.staffed for i in intervals], color=COLOURS[0], drawstyle="steps-mid", label="people there")
    busy = [i.staffed * i.occupancy for i in intervals]
    staff.plot(x, busy, color=COLOURS[1], drawstyle="steps-mid", linestyle="--", label="people busy")
    staff.set_ylim(bottom=0)
    staff.set_ylabel("people")
    staff.spines["top"].set_visible(False)
    bars, lines = axes.get_legend_handles_labels(), staff.get_legend_handles_labels()
    staff.legend(bars[0] + lines[0], bars[1] + lines[1], fontsize=8, frameon=False, loc="upper right")
    axes.set_ylim(top=1.25 * max([1, *(i.offered for i in intervals)]))
    staff.set_ylim(top=1.25 * max([0.1, *(i.staffed for i in intervals)]))
    return staff


def with_contacts(report: Report) -> list[str]:
    return [name for name, m in report.queues.items() if m["offered"] > m["blocked"]]


def worst_queues(report: Report) -> list[str]:
    """All queues that had contacts, or the worst-served of many."""
    names = with_contacts(report)
    return names if len(names) <= MANY else sorted(names, key=lambda n: report.queues[n]["sl_x"])[:MANY]


def _levels(axes: Axes, report: Report, shown: list[str], goal: float | None = None) -> None:
    slots = {interval.at: i for i, interval in enumerate(report.intervals)}
    _times(axes, report.intervals)
    for i, name in enumerate(shown):
        line = [(slots[x.at], x.sl_x) for x in report.by_queue.get(name, ()) if x.offered]
        axes.plot(
            [at for at, _ in line],
            [level for _, level in line],
            color=COLOURS[i],
            label=name,
            linewidth=1.4,
            marker=".",
            markersize=4,
        )
    if goal is not None:
        axes.axhline(goal, color="#666666", linewidth=1, linestyle=":", label="goal")
    axes.set_ylim(0, 1.03)
    title = "Served within the target" + (
        " (the worst-served queues)" if len(shown) < len(with_contacts(report)) else ""
    )
    _axis(axes, title, "share of contacts")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="best", ncols=2, framealpha=0.85, edgecolor="none")


def _waits(axes: Axes, report: Report) -> None:
    x = range(len(report.channels))
    for i, (name, label) in enumerate((("mean_wait", "mean"), ("p50", "p50"), ("p90", "p90"), ("p99", "p99"))):
        values = [max(m[name], 0.1) for m in report.channels.values()]
        axes.bar([n + (i - 1.5) * 0.2 for n in x], values, width=0.19, color=COLOURS[i], label=label)
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.set_yticks([1, 10, 60, 600, 3_600, 36_000], ["1 s", "10 s", "1 min", "10 min", "1 h", "10 h"])
    axes.minorticks_off()
    axes.set_xticks(list(x), list(report.channels))
    _axis(axes, "Waits by channel", "time in queue")
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper left")
    axes.margins(y=0.2)


def _people(axes: Axes, report: Report) -> None:
    groups = [name for name, m in report.groups.items() if m["staffed_h"]]
    shares: list[Any] = [[p.occupancy for p in report.agents if p.group == g and p.staffed_s] for g in groups]
    shown = sorted(zip(groups, shares, strict=True), key=lambda pair: -len(pair[1]))[:12]
    if shown:
        axes.boxplot([s for _, s in shown], tick_labels=[g for g, _ in shown], whis=(0, 100))
    if len(shown) > 4:
        axes.tick_params(axis="x", labelrotation=45, labelsize=8)
    axes.set_ylim(0, 1.03)
    _axis(axes, "How busy people are: least, quartiles, busiest", "share of staffed time")


def draw_comparison(found: Comparison, file: Path) -> None:
    """The differences with their intervals, in units that fit each metric."""
    shown = [line for line in found.lines if line.metric in ("sl_x", "p90", "mean_wait", "occupancy")]
    panels = [(m, [x for x in shown if x.metric == m]) for m in ("sl_x", "mean_wait", "p90", "occupancy")]
    panels = [(metric, lines) for metric, lines in panels if lines]
    figure = _page(2, 2, f"{found.b} minus {found.a}, {found.replications} replications, 95 % intervals")
    for axes, (metric, lines) in zip(figure.subplots(2, 2).flat, panels, strict=False):
        lines = lines[: 2 * MANY]
        y = range(len(lines))
        colours = [COLOURS[1] if line.apart else "#999999" for line in lines]
        for i, line in enumerate(lines):
            axes.errorbar(line.difference, i, xerr=line.half_width, fmt="o", color=colours[i], capsize=3)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(list(y), [line.of for line in lines], fontsize=8)
        axes.invert_yaxis()
        _axis(axes, metric, "")
    _save(figure, file)


def draw_contests(figures: Mapping[str, Sequence[Mapping[str, float]]], file: Path) -> None:
    """For each design and rule how many of each class were served within their target; the best rule is on top.

    `figures` are those of the benchmark, by "theory: DESIGN RULE|CHOICE".
    """
    contests: dict[str, dict[str, Mapping[str, float]]] = {}
    for name, values in figures.items():
        design, _, rule = name.removeprefix("theory: ").partition(" ")
        if values and "min_sl_x" in values[0]:
            contests.setdefault(design, {})[rule] = values[0]
    figure = _page(len(contests), 1, "Served in time: the worst class (bar), each (dots)")
    panels = figure.subplots(len(contests), 1, squeeze=False)[:, 0]
    for axes, (design, rules) in zip(panels, contests.items(), strict=True):
        _contest(axes, design, rules)
    _save(figure, file)


def _contest(axes: Axes, design: str, rules: Mapping[str, Mapping[str, float]]) -> None:
    order = sorted(rules, key=lambda rule: rules[rule]["min_sl_x"])
    y = range(len(order))
    axes.barh(list(y), [rules[rule]["min_sl_x"] for rule in order], color="#DDDDDD", height=0.7)
    classes = [name for name in rules[order[0]] if name.endswith(".sl_x") and not name.startswith("all.")]
    for i, name in enumerate(classes):
        levels = [rules[rule][name] for rule in order]
        axes.plot(levels, list(y), "o", color=COLOURS[i], markersize=4, label=name.removesuffix(".sl_x"))
    axes.set_yticks(list(y), order, fontsize=7)
    axes.axvline(0.8, color="#666666", linewidth=1, linestyle=":", label="goal")
    axes.set_xlim(0, 1)
    _axis(axes, f"Design {design}", "")
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(fontsize=8, loc="lower left", framealpha=0.85, edgecolor="none")
