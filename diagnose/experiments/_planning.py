"""Which experiments are worth their time: the cheapest that decides each suspected cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType

from diagnose import registry
from diagnose.analysis.engine import rules
from diagnose.model.experiment import Change, Leg, Plan, Planned
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run

EXPERIMENTS = "diagnose.experiments"
# The load generator is not the server's fault, and yet what an experiment can decide.
SUSPECT_VALIDITY = ("client_saturated",)
# Of a leg: the parts that are the same for all.
IDLE_S, WARM_UP_S, WINDOW_S, COOLDOWN_S = 0.3, 0.4, 1.5, 0.4
# A runtime that compiles what runs often is slow until it has: a JVM took a core for 3 s.
WARMING_S = {"jvm": 2.5}
# Starting the load workers, opening connections, letting requests end.
AROUND_S = 1.2


def experiments() -> dict[str, ModuleType]:
    """All experiments by name."""
    return registry.modules(EXPERIMENTS)


def suspects(base: Analyzed) -> list[Finding]:
    """What the first run found, and what could explain a symptom that nothing explains, if an
    experiment decides it alone."""
    found = [
        finding
        for finding in base.findings
        if finding.verdict is Verdict.FOUND
        and (finding.kind is Kind.CAUSE or finding.id in SUSPECT_VALIDITY)
    ]
    open_symptoms = {finding.id for finding in base.findings if finding.unexplained}
    alone = {name for module in experiments().values() for name in getattr(module, "ALONE", ())}
    for finding in base.findings:
        explains = set(getattr(rules()[finding.id], "EXPLAINS", ()))
        if (
            finding.verdict is Verdict.UNKNOWN
            and finding.kind is Kind.CAUSE
            and finding.id in alone
            and explains & open_symptoms
        ):
            found.append(finding)
    return found


def warm_up_s(base: Run) -> float:
    """Seconds of load before a leg's window."""
    runtimes = set(base.manifest.launch.runtimes.values())
    return max([WARMING_S.get(runtime, WARM_UP_S) for runtime in runtimes], default=WARM_UP_S)


def leg_s(base: Run, leg: Leg) -> float:
    """About how long a leg takes."""
    window = leg.change.duration_s or WINDOW_S
    start = base.manifest.launch.ready_after_s
    slow = max((check.latency_s for check in base.manifest.probes), default=0.0)
    return start + IDLE_S + AROUND_S + warm_up_s(base) + window + COOLDOWN_S + 2 * slow


def plan(base: Run, wanted: Iterable[Finding], budget_s: float) -> Plan:
    """The cheapest experiment for each suspect, the cheapest first, as far as the budget goes.

    Legs that two experiments share are paid for once.
    """
    chosen: dict[str, list[str]] = {}
    left_out: list[tuple[str, str]] = []
    for finding in wanted:
        offers: list[tuple[float, str]] = []
        reasons: list[str] = []
        for name, module in experiments().items():
            if finding.id not in module.DECIDES:
                continue
            legs = module.legs(base, (finding.id,))
            if isinstance(legs, str):
                reasons.append(f"{name}: {legs}")
            else:
                offers.append((_cost(base, legs, module.REPEATS, {}), name))
        if offers:
            chosen.setdefault(min(offers)[1], []).append(finding.id)
        else:
            why = "; ".join(reasons) or "no experiment decides it"
            left_out.append((finding.id, why))
    return _within(base, chosen, left_out, budget_s)


def _within(
    base: Run, chosen: Mapping[str, list[str]], left_out: list[tuple[str, str]], budget_s: float
) -> Plan:
    paid: dict[Change, int] = {}
    planned: list[Planned] = []
    spent = 0.0
    waiting = dict(chosen)
    while waiting:
        costs = {
            name: _cost(base, _legs(name, base, ids), experiments()[name].REPEATS, paid)
            for name, ids in waiting.items()
        }
        name = min(costs, key=lambda one: (costs[one], one))
        ids = waiting.pop(name)
        if planned and spent + costs[name] > budget_s:
            left_out += [(one, f"{name} would pass the budget of {budget_s:.0f} s") for one in ids]
            continue
        module = experiments()[name]
        legs = _legs(name, base, ids)
        for leg in legs:
            paid[leg.change] = max(paid.get(leg.change, 0), module.REPEATS)
        planned.append(Planned(name, tuple(ids), legs, module.REPEATS, costs[name]))
        spent += costs[name]
    return Plan(tuple(planned), tuple(left_out))


def _legs(name: str, base: Run, ids: Iterable[str]) -> tuple[Leg, ...]:
    legs: tuple[Leg, ...] = experiments()[name].legs(base, tuple(ids))
    return legs


def _cost(base: Run, legs: Iterable[Leg], repeats: int, paid: Mapping[Change, int]) -> float:
    return sum(leg_s(base, leg) * max(0, repeats - paid.get(leg.change, 0)) for leg in legs)
