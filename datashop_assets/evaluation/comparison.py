"""Builds `evaluation`: how the verdict on a rubric is computed, from bits to words.

Every document that is measured on gets its bits under every model. Control and candidate of one seed share their start
and most of their data, so they are compared in pairs, and the unit of inference is the seed: documents resampled under
one pair of models say how sure one is of that pair, not of the recipe. Such an interval once called two controls
different that differed only in which random documents they saw.

One measure is primary, named in the prompt file before anything is trained: the verdict goes by its interval. The same
documents against the other control are tested next, at the same level, and only where the primary measure found a
difference (fixed-sequence testing: Maurer, Hothorn and Lehmacher, 1995). All others, the largest sources among them,
are corrected together by Holm's method. No measure stands twice.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.core.step import StepOutput, StepRun
from datashop_assets.documents.results import OTHERS
from datashop_assets.evaluation.bits import document_bits
from datashop_assets.evaluation.report import report
from datashop_assets.evaluation.results import (
    COMPARISON,
    EVERY_SOURCE,
    LOSSES,
    REPORT,
    TARGETS,
    Against,
    EvaluationConfig,
    EvaluationResult,
    EvaluationTargetsResult,
    Kind,
    Measure,
    Verdict,
)
from datashop_assets.models.tokenizer import encode, end_token
from datashop_assets.prompts.settings import Primary
from datashop_assets.statistics.comparison import fixed_sequence, holm, paired_p_value
from datashop_assets.statistics.figure import LEVEL, Figure
from datashop_assets.statistics.intervals import Array, Draws, bootstrap, t_interval
from datashop_assets.trained_lm.results import ControlLMResult, MatchedLMResult, TrainedLMResult, model_folder, seeds_of
from datashop_assets.training_documents.results import PoolTokensResult, read_tokenizer

QUANTILES = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)  # not quite 0.025: stored comparisons have ends of this very last bit
SOURCES = 20  # judged one by one: each takes from what can be told of the others
LOSSES_SCHEMA = {
    "seed": pl.Int32,
    "model": pl.String,
    "id": pl.String,
    "kind": pl.String,
    "source": pl.String,
    "bits": pl.Float64,
    "bytes": pl.Int64,
}
COMPARISON_SCHEMA = {
    "against": pl.String,  # control or matched
    "kind": pl.String,
    "source": pl.String,  # empty: all of the kind
    "primary": pl.Boolean,
    "documents": pl.Int64,
    "bytes": pl.Int64,
    "control": pl.Float64,  # bits per byte of what the candidate is compared with
    "trained": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "documents_low": pl.Float64,
    "documents_high": pl.Float64,
    "p": pl.Float64,
    "p_corrected": pl.Float64,  # of all but the primary measure
    "verdict": pl.String,
}
TRAINED = "trained"
Models = Mapping[str, StepOutput[ControlLMResult] | StepOutput[MatchedLMResult] | StepOutput[TrainedLMResult]]


@dataclass(frozen=True, slots=True)
class EvaluationDocument:
    """A document that the comparison is measured on."""

    id: str
    kind: Kind
    source: str
    bytes: int
    tokens: np.ndarray  # int32 [T]


def build(run: StepRun[EvaluationConfig]) -> EvaluationResult:
    """Writes losses by document, seed and model, the comparison by kind and source, and the report."""
    models = models_of(run, ControlLMResult, MatchedLMResult, TrainedLMResult)
    found = compare_models(run, models)
    result = _result(run, models, found)
    run.output.put_bytes(REPORT, report(found, result).encode())
    return result


def models_of(
    run: StepRun[EvaluationConfig],
    control: type[ControlLMResult],
    matched: type[MatchedLMResult],
    candidate: type[TrainedLMResult],
) -> Models:
    """The trained models by name: the candidate, its control, and the matched one where it was asked for."""
    same_mix = run.optional_input(matched)
    return {
        "control": run.input(control),
        **({} if same_mix is None else {"matched": same_mix}),
        TRAINED: run.input(candidate),
    }


def compare_models(run: StepRun[EvaluationConfig], models: Models) -> list[Measure]:
    """All measures of these models. Writes losses by document, seed and model, and the measures by kind and source."""
    seeds = _seeds(models)
    documents = _documents(run)
    bits = _bits(run, models, seeds, documents)
    found = measures(bits, documents, run.config.primary)
    run.output.write_rows(LOSSES, _loss_rows(bits, documents, seeds), LOSSES_SCHEMA)
    run.output.write_rows(COMPARISON, (measure.row() for measure in found), COMPARISON_SCHEMA, beside=True)
    return found


def _seeds(models: Models) -> list[int]:
    """The seeds of all. Raises `ValueError` where they are not the same."""
    found = {name: seeds_of(output) for name, output in models.items()}
    if any(seeds != found[TRAINED] for seeds in found.values()) or not found[TRAINED]:
        raise ValueError(f"the models do not have the same seeds: {found}; train all with the same settings")
    return found[TRAINED]


def _documents(run: StepRun[EvaluationConfig]) -> list[EvaluationDocument]:
    tokenizer = read_tokenizer(run.input(PoolTokensResult))
    chosen = run.input(EvaluationTargetsResult).table(TARGETS)
    return [
        EvaluationDocument(row["id"], Kind(row["kind"]), row["source"], len(row["text"].encode()), tokens)
        for row, tokens in zip(chosen.iter_rows(named=True), encode(tokenizer, chosen["text"].to_list()), strict=True)
    ]


def _bits(
    run: StepRun[EvaluationConfig], models: Models, seeds: Sequence[int], documents: Sequence[EvaluationDocument]
) -> dict[str, np.ndarray]:
    """Bits [seeds, documents] by model."""
    pool = run.input(PoolTokensResult)
    end = end_token(read_tokenizer(pool), pool.result.separator)
    folders = [model_folder(output, seed) for output in models.values() for seed in seeds]
    length = models[TRAINED].result.models.length
    with run.resources.progress.bar("evaluating language models", len(folders), "models") as bar:
        bits = document_bits(folders, [one.tokens for one in documents], end, bar.advance, length=length)
    return dict(zip(models, np.split(bits, len(models)), strict=True))


def measures(
    bits: Mapping[str, np.ndarray], documents: Sequence[EvaluationDocument], primary: Primary
) -> list[Measure]:
    """bits: [S, N] of `trained` and of each control -> all measures, the verdicts corrected for being many.

    Raises `ValueError` where there is no document of the kind that the verdict goes by.
    """
    if not any(document.kind == primary.documents for document in documents):
        raise ValueError(
            f"evaluation.primary.documents is {primary.documents!r}, and none of the {len(documents)} held-out "
            "documents is of that kind; name the other kind, or raise heldout_fraction"
        )
    sizes = np.array([document.bytes for document in documents])
    found = [
        measure
        for against in ("control", "matched")
        if against in bits
        for measure in _against(against, Losses(bits[against], bits[TRAINED], sizes), documents, primary)
    ]
    first = next(measure for measure in found if measure.primary)
    following = next((number for number, one in enumerate(found) if one.follows(first)), None)
    corrected = {} if following is None else {following: fixed_sequence([first.p, found[following].p])[-1]}
    others = [number for number, one in enumerate(found) if not one.primary and number != following]
    tested = [number for number in others if found[number].p is not None]
    corrected |= dict(zip(tested, holm([found[number].p or 0.0 for number in tested]), strict=True))
    for number, p in corrected.items():
        verdict = Verdict.by_corrected_p(found[number].difference.value, p)
        found[number] = found[number].model_copy(update={"p_corrected": p, "verdict": verdict})
    return found


def _against(
    against: Against, losses: "Losses", documents: Sequence[EvaluationDocument], primary: Primary
) -> Iterator[Measure]:
    """Measures of each kind: all its documents first, then source by source where there are several."""
    kinds = np.array([document.kind for document in documents])
    sources = _named_sources(documents)
    for kind in Kind:
        if (of_kind := kinds == kind).any():
            first = (against, kind) == (primary.against, primary.documents)
            yield compared(losses.of(of_kind), against, kind, EVERY_SOURCE, first)
            names = sorted(set(sources[of_kind].tolist()))
            for source in names if len(names) > 1 else ():  # one source is all of them
                yield compared(losses.of(of_kind & (sources == source)), against, kind, source, False)


def _named_sources(documents: Sequence[EvaluationDocument]) -> np.ndarray:
    """The source of each document; of all but the `SOURCES` largest it is `OTHERS`, since a source may be a URL."""
    sizes = Counter[str]()
    for document in documents:
        sizes[document.source] += document.bytes
    named = {source for source, _ in sizes.most_common(SOURCES)}
    return np.array([document.source if document.source in named else OTHERS for document in documents])


@dataclass(frozen=True, eq=False)
class Losses:
    """Bits of the same N documents under the S models of control and candidate."""

    control: np.ndarray  # [S, N] bits
    trained: np.ndarray  # [S, N] bits
    bytes: np.ndarray  # [N] UTF-8 bytes

    def __post_init__(self) -> None:
        if self.control.shape != self.trained.shape or self.control.shape[1:] != self.bytes.shape:
            raise ValueError(
                f"losses do not pair: control {self.control.shape}, trained {self.trained.shape}, documents "
                f"{self.bytes.shape}; both models need the same seeds and the same documents"
            )
        if not self.bytes.sum() > 0:
            raise ValueError("no bytes to compare on: choose documents with text")

    def bits_a_byte(self, bits: np.ndarray) -> np.ndarray:
        """bits [S, N] -> [S]: total bits over total bytes, so that a long document counts for its length."""
        totals: np.ndarray = bits.sum(axis=1) / self.bytes.sum()
        return totals

    def of(self, chosen: np.ndarray) -> "Losses":
        """Of some documents, chosen by a mask or by indices."""
        return Losses(self.control[:, chosen], self.trained[:, chosen], self.bytes[chosen])


def compared(losses: Losses, against: Against, kind: Kind, source: str, primary: bool) -> Measure:
    """One measure, judged by itself: Student's t on paired seeds."""
    control, trained = losses.bits_a_byte(losses.control), losses.bits_a_byte(losses.trained)
    difference = t_interval(trained - control, unit="seeds")
    return Measure(
        against=against,
        kind=kind,
        source=source,
        primary=primary,
        documents=len(losses.bytes),
        bytes=int(losses.bytes.sum()),
        control=float(control.mean()),
        trained=float(trained.mean()),
        difference=difference,
        over_documents=over_documents(losses),
        p=paired_p_value(trained - control),
        p_corrected=None,
        verdict=Verdict.by_interval(difference),
    )


def over_documents(losses: Losses) -> Figure:
    """The mean difference with a bootstrap over documents: these models, other documents."""
    gained = (losses.trained - losses.control).mean(axis=0)  # [N] bits

    def difference(drawn: Draws) -> dict[str, Array]:
        return {"difference": gained[drawn].sum(axis=1) / losses.bytes[drawn].sum(axis=1)}

    found = bootstrap(difference, len(gained), draws="indices", ends=QUANTILES)["difference"]
    assert found is not None, "losses are numbers, and bytes are more than none"
    return found


def _result(run: StepRun[EvaluationConfig], models: Models, found: Sequence[Measure]) -> EvaluationResult:
    candidate, matched = run.input(TrainedLMResult).result, run.optional_input(MatchedLMResult)
    [primary] = [measure for measure in found if measure.primary]
    return EvaluationResult(
        verdict=primary.verdict,
        measures=[measure for measure in found if measure.source == EVERY_SOURCE],
        seeds=candidate.models.seeds,
        filtered_epochs=candidate.own.epochs,
        matched_epochs=None if matched is None else matched.result.own.epochs,
        tokens=candidate.models.tokens,
        parameters=candidate.models.parameters,
        training_seconds={name: output.result.training_seconds for name, output in models.items()},
        training_flops=sum(
            output.result.models.training_flops * output.result.models.seeds for output in models.values()
        ),
        targets_from=run.input(EvaluationTargetsResult).result.targets_from,
    )


def _loss_rows(
    bits: Mapping[str, np.ndarray], documents: Sequence[EvaluationDocument], seeds: Sequence[int]
) -> Iterator[dict[str, Any]]:
    for model, found in bits.items():
        for seed, row in zip(seeds, found, strict=True):
            for document, total in zip(documents, row.tolist(), strict=True):
                yield {
                    "seed": seed,
                    "model": model,
                    "id": document.id,
                    "kind": document.kind,
                    "source": document.source,
                    "bits": total,
                    "bytes": document.bytes,
                }
