"""What answers must be like before anything is learnt from them: pure figures, each with documents to look at."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.markdown import escaped, evenly
from datashop_assets.prompts.annotator_settings import Gate, Gates
from datashop_assets.protocols.annotator import Status
from datashop_assets.statistics.intervals import correlation_by_chance
from datashop_assets.statistics.ranking import spearman
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 5  # documents
COLUMNS = ("id", "source", "characters", "status", "reason", "expected_score")  # texts are read of what is shown only
SCORED = pl.col("expected_score").is_not_null()
Figures = dict[str, Any]


@dataclass(frozen=True)
class GateReport:
    """What a gate says: whether it is passed, in one sentence, in figures, and with documents to look at."""

    passed: bool
    says: str
    figures: Figures
    look_at: pl.DataFrame  # COLUMNS


def coverage(rows: pl.DataFrame, gates: Gates) -> GateReport:
    scored, asked = len(rows.filter(SCORED)), len(rows)
    share = _share(scored, asked)
    says = f"{scored} of {asked} asked documents have a score ({share:.1%}, at least {gates.coverage:.0%})"
    passed = asked > 0 and share >= gates.coverage
    return GateReport(passed, says, {"coverage": share, **_by_status(rows)}, rows.filter(~SCORED))


def unparsed_share(rows: pl.DataFrame, gates: Gates) -> GateReport:
    unparsed, asked = rows.filter(status=str(Status.UNPARSED)), len(rows)
    share = _share(len(unparsed), asked)
    says = f"{len(unparsed)} of {asked} replies hold no score ({share:.1%}, at most {gates.unparsed:.0%})"
    return GateReport(
        asked > 0 and share <= gates.unparsed, says, {"unparsed_share": share, **_by_status(rows)}, unparsed
    )


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
    return GateReport(share >= gates.longest_decile, says, {"share": share}, longest.filter(~SCORED))


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
    said = ", ".join(f"{escaped(name)} {value:.3f}" for name, value in figures.items())
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
