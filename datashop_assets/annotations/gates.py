"""What answers must be like before anything is learnt from them: pure figures, each with documents to look at.

Shares are held against the threshold for all documents and within every source. All together decide whether the gate
is passed. A source fails it where even the upper end of its interval does, at a level that is corrected for the number
of sources, so that one in twenty sets of good answers has a source that does; it is then a warning that names it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.markdown import evenly, one_line
from datashop_assets.prompts.annotator_settings import Gate, Gates
from datashop_assets.protocols.annotator import Status
from datashop_assets.statistics.intervals import correlation_by_chance, exact_interval
from datashop_assets.statistics.ranking import spearman
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 5  # documents
NAMED = 5  # sources
FALSE_ALARMS = 0.05  # share of good answers in which some source fails a gate by chance
COLUMNS = ("id", "source", "characters", "status", "reason", "expected_score")  # texts are read of what is shown only
SCORED = pl.col("expected_score").is_not_null()
Figures = dict[str, Any]


@dataclass(frozen=True)
class GateReport:
    """What a gate says: whether it is passed, in one sentence, in figures, and with documents to look at.

    `warns`: all documents together pass it, and a source does not.
    """

    passed: bool
    says: str
    figures: Figures
    look_at: pl.DataFrame  # COLUMNS
    warns: bool = False


def coverage(rows: pl.DataFrame, gates: Gates) -> GateReport:
    scored, asked = len(rows.filter(SCORED)), len(rows)
    share = _share(scored, asked)
    says = f"{scored} of {asked} asked documents have a score ({share:.1%}, at least {gates.coverage:.0%})"
    passed = asked > 0 and share >= gates.coverage
    figures = {"coverage": share, **_by_status(rows)}
    report = GateReport(passed, says, figures, rows.filter(~SCORED))
    return _and_within(report, rows, gates.coverage, "{good} of {all} have a score")


def unparsed_share(rows: pl.DataFrame, gates: Gates) -> GateReport:
    unparsed, asked = rows.filter(status=str(Status.UNPARSED)), len(rows)
    share = _share(len(unparsed), asked)
    says = f"{len(unparsed)} of {asked} replies hold no score ({share:.1%}, at most {gates.unparsed:.0%})"
    report = GateReport(
        asked > 0 and share <= gates.unparsed, says, {"unparsed_share": share, **_by_status(rows)}, unparsed
    )
    return _and_within(report, rows, 1 - gates.unparsed, "{bad} of {all} replies hold no score")


def both_ends_used(rows: pl.DataFrame, gates: Gates) -> GateReport:
    scores = rows.filter(SCORED)
    score = pl.col("expected_score")
    low, high = scores.filter(score <= gates.low_end), scores.filter(score >= gates.high_end)
    says = f"{len(low)} documents score at most {gates.low_end:g} and {len(high)} at least {gates.high_end:g}"
    figures = {"at_the_low_end": len(low), "at_the_high_end": len(high)}
    passed = min(len(low), len(high)) >= gates.ends
    return GateReport(passed, f"{says} (at least {gates.ends} each)", figures, scores.sort("expected_score", "id"))


def longest_decile_kept(rows: pl.DataFrame, gates: Gates) -> GateReport:
    longest = rows.sort("characters", "id", descending=True).head(-(-len(rows) // 10))
    scored = len(longest.filter(SCORED))
    share = _share(scored, len(longest))
    says = f"of the longest tenth, {scored} of {len(longest)} have a score ({share:.1%}"
    says += f", at least {gates.longest_decile:.0%})"
    report = GateReport(share >= gates.longest_decile, says, {"share": share}, longest.filter(~SCORED))
    return _and_within(report, longest, gates.longest_decile, "{good} of {all} of them have a score")


def length_score_band(rows: pl.DataFrame, gates: Gates) -> GateReport:
    low, high = gates.length_score
    wanted = f"Spearman's rho of length and score, {low:g} to {high:g} and what chance adds"
    return _within(
        rows,
        gates,
        _rho,
        lambda rho, n: low - correlation_by_chance(n) <= rho <= high + correlation_by_chance(n),
        wanted,
    )


def spread_within_sources(rows: pl.DataFrame, gates: Gates) -> GateReport:
    wanted = f"standard deviation of scores, at least {gates.spread:g}"
    return _within(rows, gates, _deviation, lambda deviation, _: deviation >= gates.spread, wanted)


GATES: Mapping[Gate, Callable[[pl.DataFrame, Gates], GateReport]] = {
    "coverage": coverage,
    "unparsed_share": unparsed_share,
    "longest_decile_kept": longest_decile_kept,
    "both_ends_used": both_ends_used,
    "length_score_band": length_score_band,
    "spread_within_sources": spread_within_sources,
}


def _and_within(report: GateReport, rows: pl.DataFrame, least: float, said: str) -> GateReport:
    """The report with what it says of the sources in which surely fewer of `rows` than `least` are good.

    `report.look_at` are the bad ones. `said` is a sentence with `good`, `bad` and `all`. Where the gate is passed, what
    is looked at are documents of the sources that fail.
    """
    bad: dict[str, int] = dict(report.look_at["source"].value_counts().iter_rows())
    sizes: dict[str, int] = dict(rows["source"].value_counts().iter_rows())
    if len(sizes) < 2:
        return report
    level = 1 - FALSE_ALARMS / len(sizes)
    highest = {source: exact_interval(sizes[source] - count, sizes[source], level)[1] for source, count in bad.items()}
    failed = sorted((source for source, high in highest.items() if high < least), key=lambda one: (-bad[one], one))
    if not failed:
        return report
    counts = {one: {"good": sizes[one] - bad[one], "bad": bad[one], "all": sizes[one]} for one in failed[:NAMED]}
    named = "; ".join(f"{one_line(one)}: {said.format(**found)}" for one, found in counts.items())
    more = f"; and {len(failed) - NAMED} more sources" if len(failed) > NAMED else ""
    by_source = {one: {**counts[one], "high": highest[one]} for one in counts}
    inside = report.look_at.filter(pl.col("source").is_in(failed))
    return replace(
        report,
        says=f"{report.says}; {named}{more}",
        figures={**report.figures, "sources_that_fail": by_source},
        look_at=inside if report.passed else report.look_at,
        warns=report.passed,
    )


def _within(
    rows: pl.DataFrame,
    gates: Gates,
    figure: Callable[[pl.DataFrame], float],
    good: Callable[[float, int], bool],
    wanted: str,
) -> GateReport:
    """One figure for every source that has enough scores; a source where it does not exist is not judged."""
    sources = {name: part for (name,), part in rows.filter(SCORED).group_by("source", maintain_order=True)}
    large = {str(name): part for name, part in sources.items() if len(part) >= gates.source_documents}
    figures = {name: value for name, part in sorted(large.items()) if np.isfinite(value := figure(part))}
    bad = [name for name, value in figures.items() if not good(value, len(large[name]))]
    said = ", ".join(f"{one_line(name)} {value:.3f}" for name, value in figures.items())
    says = f"within each source, {wanted}: {said or 'no source has enough scores'}; outside: {len(bad)}"
    look_at = rows.filter(pl.col("source").is_in(bad), SCORED).sort("characters", "id")
    return GateReport(not bad, says, {"by_source": figures, "sources_not_judged": len(sources) - len(figures)}, look_at)


def _rho(part: pl.DataFrame) -> float:
    """Not a number where all lengths or all scores are alike."""
    length, score = (part[name].cast(pl.Float64).to_numpy() for name in ("characters", "expected_score"))
    return float(spearman(length, score, np.ones((1, len(part))))[0])


def _deviation(part: pl.DataFrame) -> float:
    return float(part["expected_score"].std(ddof=0))  # type: ignore[arg-type]


def gate_report(gate: Gate, gates: Gates, annotations: StageFolder) -> GateReport:
    """What one gate says of finished annotations. Memory holds no text."""
    return GATES[gate](annotations.table(columns=COLUMNS), gates)


def documents_of(report: GateReport, annotations: StageFolder) -> Iterator[dict[str, object]]:
    """The rows to look at, texts and all, read in a stream."""
    wanted = {row["id"] for row in spread_out(report.look_at)}
    return (row for row in annotations.all_rows() if row["id"] in wanted)


def spread_out(look_at: pl.DataFrame) -> Sequence[Mapping[str, Any]]:
    """A few of the documents to look at, from one end of their order to the other."""
    places = evenly(len(look_at), SHOWN)
    return look_at[places].select(COLUMNS).to_dicts() if places else []


def _share(part: int, whole: int) -> float:
    return part / max(whole, 1)


def _by_status(rows: pl.DataFrame) -> dict[str, int]:
    return {str(status): count for status, count in sorted(rows["status"].value_counts().iter_rows())}
