"""How far the annotator can be trusted: the same documents asked again, and scores by length and by source.

Documents that are annotated already are put to the same annotator with another seed, and to a second one where the
prompt names one. Documents were drawn with importance weights; figures are weighted by them, so that they describe the
sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from datashop_assets.annotations.design import documents
from datashop_assets.annotations.results import (
    Agreement,
    AnnotationsResult,
    AnnotatorReportConfig,
    AnnotatorReportResult,
    LengthGroup,
    NoAgreement,
    ScoreSummary,
    SecondAgreement,
    SourceGroup,
)
from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.replies import Judge, Parsing
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import StepRun
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.prompts.annotator_settings import AnnotationQuestionConfig
from datashop_assets.protocols.annotator import AnnotationRequest, Question
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.statistics import agreement as figures
from datashop_assets.statistics.intervals import Array, Draws, bootstrap, counted
from datashop_assets.statistics.ranking import spearman
from datashop_assets.storage.digests import keyed_hash

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT, PLOT = "annotator_report.json", "annotator_report.png"
READ = ("id", "source", "content", "characters", "expected_score", "probability")
WHY = {"likelihood": "by likelihood the same question always has the same answer"}
FIX = "set annotator.report.again to ask all the same"
FEWEST = 10  # documents: with fewer an interval says nothing
TENTHS = 10
MOST_SOURCES = 40
DRAWN_SOURCES, NAME = 12, 18  # of the picture: sources, and characters of a source's name

Run = StepRun[AnnotatorReportConfig]
Row = Mapping[str, Any]


def build(run: Run) -> AnnotatorReportResult:
    """Writes `annotator_report.json` and `annotator_report.png`.

    Raises `ValueError` without an annotator where it is to be asked again.
    """
    rows = [{name: row[name] for name in READ} for row in run.input(AnnotationsResult).all_rows()]
    again, spent_again = _again(run, rows)
    second, spent_second = _second(run, rows)
    spent = [one for one in (spent_again, spent_second) if one is not None]
    result = AnnotatorReportResult(
        spent=sum(spent, TokensSpent()) if spent else None,
        scores=summary(rows),
        by_length=by_length(rows),
        by_source=by_source(rows),
        self_agreement=again,
        second_annotator=second,
    )
    run.output.put_bytes(REPORT, orjson.dumps(_file(result), option=orjson.OPT_INDENT_2))
    run.output.put_bytes(PLOT, plot(result, [row["expected_score"] for row in rows]), identity=False)
    return result


def _file(result: AnnotatorReportResult) -> dict[str, Any]:
    """The result for those who read files: a group's scores and a second annotator's figures beside their names."""
    second = result.second_annotator
    return {
        "all": result.scores.model_dump(),
        "by_length": [{"characters": one.characters, **one.scores.model_dump()} for one in result.by_length],
        "by_source": [{"source": one.source, **one.scores.model_dump()} for one in result.by_source],
        "self_agreement": result.self_agreement.model_dump(),
        "second_annotator": second and {**second.model_dump(exclude={"agreement"}), **second.agreement.model_dump()},
    }


def _again(run: Run, rows: Sequence[Row]) -> tuple[Agreement | NoAgreement, TokensSpent | None]:
    """Agreement with itself: the same question with another seed."""
    config = run.config
    if not config.again.documents:
        why = WHY.get(config.question.scoring, "again is 0")
        return NoAgreement(documents=0, note=f"not asked: {why}; {FIX}"), None
    question = _question(run, config.question)
    other = replace(question, sampling=replace(question.sampling, seed=question.sampling.seed + config.again.seed))
    return _compared(run, other, config.parsing, drawn(rows, config.again.documents))


def _second(run: Run, rows: Sequence[Row]) -> tuple[SecondAgreement | None, TokensSpent | None]:
    if (second := run.config.second) is None:
        return None, None
    question = _question(run, second.question)
    found, spent = _compared(run, question, second.parsing, drawn(rows, second.documents))
    asked = SecondAgreement(model=question.model, revision=question.revision, scoring=question.scoring, agreement=found)
    return asked, spent


def drawn(rows: Sequence[Row], count: int) -> list[Row]:
    """At random among scored documents, by the hash of their content."""
    scored = [row for row in rows if row["expected_score"] is not None]
    return sorted(scored, key=lambda row: keyed_hash("annotator report", row["content"]))[:count]


def _question(run: Run, config: AnnotationQuestionConfig) -> Question:
    return config.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)


def _compared(
    run: Run, question: Question, parsing: Parsing, rows: Sequence[Row]
) -> tuple[Agreement | NoAgreement, TokensSpent]:
    """What is said now of these documents, beside what was said of them before. And what the answers took."""
    contents = [row["content"] for row in rows]
    scorer = DocumentScorer(run.annotator, question, Judge.of(parsing), run.answers, run.output.scratch, run.limits)
    sample = documents(run.input(AnnotationSampleResult), set(contents))
    requests = ((row["content"], AnnotationRequest(row["id"], row["text"], row["source"])) for row in sample)
    with run.resources.progress.bar("asking again", len(contents), "documents") as bar:
        scores = scorer.scores(contents, requests, bar)
    both = [(row, score) for row in rows if (score := scores[row["content"]]) is not None]
    first, second, weights = (
        np.array(values, dtype=np.float64)
        for values in (
            [row["expected_score"] for row, _ in both],
            [score for _, score in both],
            [1 / row["probability"] for row, _ in both],
        )
    )
    return agreement(first, second, weights, asked=len(rows)), scorer.spent


def agreement(first: Array, second: Array, weights: Array, asked: int) -> Agreement | NoAgreement:
    """Figures with bootstrap intervals over documents. first, second, weights: [N], of `asked` documents.

    Scores are whole numbers from 0 to 5 for kappa and confusion, and expected scores for Spearman's rho.
    """
    size = len(first)
    if size < FEWEST:
        return NoAgreement(documents=size, note=f"fewer than {FEWEST} documents have both scores")

    def of(drawn: Draws) -> dict[str, Array]:
        resampled = counted(drawn, size) * weights
        return {
            "quadratic_kappa": figures.quadratic_kappa(first, second, resampled),
            "spearman": spearman(first, second, resampled),
            "same_score": figures.same_score(first, second, resampled),
            "mean_difference": figures.mean_difference(first, second, resampled),
        }

    [confusion] = figures.confusion(first, second, np.ones((1, size)))
    return Agreement(
        asked=asked,
        without_score=asked - size,
        documents=size,
        confusion=confusion.astype(int).tolist(),
        **bootstrap(of, size, draws="indices"),
    )


def by_length(rows: Sequence[Row]) -> list[LengthGroup]:
    """Ten groups of equally many documents, from the shortest; fewer groups where there are fewer documents."""
    ordered = sorted(rows, key=lambda row: (row["characters"], row["id"]))
    groups = np.array_split(np.arange(len(ordered)), min(TENTHS, len(ordered)))
    return [
        LengthGroup(characters=(inside[0]["characters"], inside[-1]["characters"]), scores=summary(inside))
        for group in groups
        if (inside := [ordered[place] for place in group])
    ]


def by_source(rows: Sequence[Row]) -> list[SourceGroup]:
    """The sources with most documents first; those beyond 40 together."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["source"], []).append(row)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rest = [row for _, inside in ordered[MOST_SOURCES:] for row in inside]
    shown = [*ordered[:MOST_SOURCES], *([("all others", rest)] if rest else [])]
    return [SourceGroup(source=name, scores=summary(inside)) for name, inside in shown]


def summary(rows: Sequence[Row]) -> ScoreSummary:
    scored = [row for row in rows if row["expected_score"] is not None]
    if not scored:
        return ScoreSummary(documents=len(rows), scored=0, mean=None, quartiles=None)
    scores: Array = np.array([row["expected_score"] for row in scored])
    weights = np.array([1 / row["probability"] for row in scored])
    low, middle, high = (round(float(one), 4) for one in np.quantile(scores, [0.25, 0.5, 0.75]))
    return ScoreSummary(
        documents=len(rows),
        scored=len(scored),
        mean=round(float(np.average(scores, weights=weights)), 4),
        quartiles=(low, middle, high),
    )


def plot(report: AnnotatorReportResult, scores: Sequence[float | None]) -> bytes:
    """PNG: scores, scores by length and by source, and the confusion where somebody was asked again.

    Nothing is drawn on a screen: the figure is made without a window system.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    second = report.second_annotator
    read = {"asked again": report.self_agreement, "second annotator": second and second.agreement}
    confusions = {title: found.confusion for title, found in read.items() if isinstance(found, Agreement)}
    figure = Figure(figsize=(4 * (3 + len(confusions)), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3 + len(confusions))
    axes[0].hist([score for score in scores if score is not None], bins=[place / 2 for place in range(11)])
    axes[0].set(title="scores", xlabel="expected score", ylabel="documents")
    lengths, sources = report.by_length, report.by_source[:DRAWN_SOURCES]
    _means(axes[1], "by length", [f"≤{one.characters[1]}" for one in lengths], [one.scores for one in lengths])
    _means(axes[2], "by source", [_plain(one.source) for one in sources], [one.scores for one in sources])
    for axis, (title, table) in zip(axes[3:], confusions.items(), strict=True):
        axis.imshow(table, cmap="Blues", origin="lower")
        axis.set(title=title, xlabel="second score", ylabel="first score")
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    return picture.getvalue()


def _means(axis: "Axes", title: str, names: Sequence[str], groups: Sequence[ScoreSummary]) -> None:
    axis.bar(range(len(groups)), [one.mean or 0.0 for one in groups])
    axis.set_xticks(range(len(groups)), names, rotation=60, ha="right", fontsize=7, parse_math=False)
    axis.set(title=title, ylabel="mean score", ylim=(0, 5))


def _plain(name: str) -> str:
    """A source's name is data: only what any font can draw."""
    return "".join(letter if 31 < ord(letter) < 127 else "?" for letter in name[:NAME])
