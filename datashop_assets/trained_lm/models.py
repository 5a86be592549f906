"""Control, matched control and candidate: the same start, the same steps, the shared rows at the same places.

Each step draws what its models read, trains one a seed, and keeps them with their curves. The demo's models (166,000
weights, 100 steps of 1,024 tokens, ten seeds) take some 45 ms a step and core.
"""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import polars as pl
from flax import nnx

from datashop_assets.core.step import StepRun
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.models.llama.model import Llama, LlamaConfig
from datashop_assets.models.tokenizer import end_token
from datashop_assets.trained_lm.checkpoints import export
from datashop_assets.trained_lm.mixture import (
    SeedDocuments,
    Strata,
    kept_rows,
    kept_streams,
    matched_documents,
    matched_streams,
    own_documents,
    pool_documents,
)
from datashop_assets.trained_lm.results import (
    CURVE,
    PICTURE,
    CandidateConfig,
    ControlConfig,
    ControlLMResult,
    MatchedLMResult,
    OwnDocuments,
    TrainedLMResult,
    TrainedModels,
)
from datashop_assets.trained_lm.training import TrainedSeed, schedule, train_seeds
from datashop_assets.training_documents.checkpoint import Start
from datashop_assets.training_documents.results import PoolTokensResult, read_tokenizer
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets.training_documents.tokens import Drawing, Keyed, read_documents_of

LMConfigT = TypeVar("LMConfigT", bound=ControlConfig)
ControlT = TypeVar("ControlT", bound=ControlLMResult)
MatchedT = TypeVar("MatchedT", bound=MatchedLMResult)
CandidateT = TypeVar("CandidateT", bound=TrainedLMResult)

OWN = "documents/"  # what the models' own stream was drawn from, by shard of the pool
KEPT = "kept/"  # of the matched control: the kept documents whose mix it has
CURVE_SCHEMA = {
    "seed": pl.Int32,
    "step": pl.Int32,
    "loss": pl.Float32,  # nats a token
    "learning_rate": pl.Float32,
    "tokens": pl.Int64,  # read so far
    "tokens_per_second": pl.Float32,
    "mfu": pl.Float32,  # of the rate at which its devices multiply matrices
}
VOLATILE = ("tokens_per_second", "mfu")
PANELS = (
    ("loss", "loss, nats a token"),
    ("learning_rate", "learning rate"),
    ("tokens_per_second", "tokens a second"),
    ("mfu", "share of the matrix rate (MFU)"),
)
Row = dict[str, Any]


def build_control(run: StepRun[ControlConfig], result: type[ControlT]) -> ControlT:
    """Trains on the pool alone."""
    seeds = pool_documents(run.input(PoolTokensResult), run.config.settings)
    return result(**_train(run, result.step, seeds))


def build_candidate(run: StepRun[CandidateConfig], result: type[CandidateT]) -> CandidateT:
    """Trains on the pool with kept documents in the candidate's own rows."""
    settings, drawing = run.config.settings, _drawing(run, OWN, "kept documents")
    own = _kept(run, drawing)
    shared = [seed.shared for seed in pool_documents(run.input(PoolTokensResult), settings)]
    seeds = [SeedDocuments(*pair) for pair in zip(shared, own, strict=True)]
    documents, tokens = _kept_in_all(run, drawing)
    _check_kept(run.config, tokens)
    return result(
        **_train(run, result.step, seeds),
        own=OwnDocuments(
            checked=drawing.counts(),
            tokens_read=settings.own_tokens,
            tokens_held=[seed.own_tokens for seed in seeds],
            epochs=round(settings.own_tokens / tokens, 3),
        ),
        kept_documents=documents,
        kept_tokens=tokens,
    )


def build_matched(run: StepRun[CandidateConfig], result: type[MatchedT]) -> MatchedT:
    """Trains on documents drawn to have the mix of sources and lengths of the kept ones."""
    settings, drawing = run.config.settings, _drawing(run, OWN, "matched documents")
    of_kept = _drawing(run, KEPT, "kept documents")
    kept = _kept(run, of_kept)
    _check_kept(run.config, _kept_in_all(run, of_kept)[1])
    pool, tokens = run.input(PretrainingPoolResult), run.input(PoolTokensResult)
    streams = matched_streams(kept, Strata.of_pool(pool), tokens.result.bytes_per_token)
    drawing.write(streams)
    own = matched_documents(drawing.read(), streams)
    shared = [seed.shared for seed in pool_documents(tokens, settings)]
    seeds = [SeedDocuments(*pair) for pair in zip(shared, own, strict=True)]
    held = [seed.own_tokens for seed in seeds]
    return result(
        **_train(run, result.step, seeds),
        own=OwnDocuments(
            checked=drawing.counts(),
            tokens_read=settings.own_tokens,
            tokens_held=held,
            epochs=round(settings.own_tokens * len(held) / sum(held), 3),
        ),
        kept_tokens_held=[sum(1 + len(piece.tokens) for _, piece in each) for each in kept],
    )


def _drawing(run: StepRun[CandidateConfig], place: str, label: str) -> Drawing:
    tokens = run.input(PoolTokensResult)
    return Drawing(run, tokens.folder, tokens.result.bytes_per_token, label, place)


def _kept(run: StepRun[CandidateConfig], drawing: Drawing) -> list[Keyed]:
    """For every seed the kept documents that the candidate reads."""
    streams = kept_streams(run.input(FilteredPoolResult), run.config.settings)
    drawing.write(streams)
    return own_documents(drawing.read(), streams)


def _kept_in_all(run: StepRun[CandidateConfig], drawing: Drawing) -> tuple[int, int]:
    """How many kept documents may be drawn, and the tokens of those of them that may be read, separators included.

    The tokens are counted where all documents were drawn, and else follow from the drawn ones' tokens a byte.
    """
    pool, filtered = run.input(PretrainingPoolResult), run.input(FilteredPoolResult)
    documents, size = 0, 0
    for shard in pool_shards(pool):
        found = read_documents_of(pool, shard)
        kept = np.isin(found.rows, kept_rows(filtered, shard))
        documents += int(kept.sum())
        size += int(found.bytes[kept].sum())
    checked = drawing.counts()
    tokens = checked.tokens + checked.documents
    if checked.drawn < documents:
        tokens = round(tokens * size / drawing.bytes_drawn())
    return documents, tokens


def _check_kept(config: CandidateConfig, tokens: int) -> None:
    settings = config.settings
    if tokens < settings.length:
        raise ValueError(
            f"the kept documents that may be trained on hold {tokens} tokens, fewer than one row "
            f"(training.length {settings.length}); keep more: raise keep.fraction or lower keep.threshold"
        )
    if settings.own_tokens > config.max_epochs * tokens:
        raise ValueError(
            f"training would go {settings.own_tokens / tokens:.1f} times through the {tokens} tokens of the kept "
            f"documents; training.max_epochs is {config.max_epochs:g}. Keep more (keep.fraction), or lower "
            "training.steps or training.filtered_share"
        )


def _train(run: StepRun[LMConfigT], name: str, seeds: Sequence[SeedDocuments]) -> dict[str, Any]:
    """Trains and exports a model a seed, and writes the curves. Returns the fields that all results have."""
    settings, checkpoint = run.config.settings, run.config.checkpoint
    trainer, pool = run.resources.trainer, run.input(PoolTokensResult)
    if trainer is None:
        raise ValueError(f"{name} needs a trainer; give Resources(trainer=...)")
    tokenizer, separator = read_tokenizer(pool), pool.result.separator
    start = Start.named(checkpoint.name, run.data) if checkpoint else None
    if start:
        start.check(tokenizer, settings.length)
    config = start.config() if start else settings.llama(tokenizer.get_vocab_size())
    end = end_token(tokenizer, separator)
    with run.resources.progress.bar(f"training {name}", settings.steps * settings.seeds, "steps") as bar:
        trained: list[TrainedSeed] = trainer.run(
            train_seeds,
            rows=[partial(seed.rows, settings, end) for seed in seeds],
            config=config,
            settings=settings,
            scratch=run.output.scratch,
            advance=bar.advance,
            weights=start.weights if start else None,
            mesh=trainer.mesh,
            checkpointing=trainer.checkpointing,
        )
    graph = nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0))))
    for one in trained:
        export(run.output, one.seed, nnx.merge(graph, one.weights), tokenizer, separator)
    flops = config.training_flops(settings.length)
    rows = list(curve_rows(trained, settings, flops))
    run.output.write_rows(CURVE, rows, CURVE_SCHEMA, volatile=VOLATILE)
    run.output.put_bytes(PICTURE, plot(rows), identity=False)
    seconds = sum(one.seconds for one in trained)
    done = sum(one.steps for one in trained)
    return {
        "models": _models(trained, config, settings, flops),
        "training_seconds": round(seconds, 2),
        "tokens_per_second": round(done * settings.batch * settings.length / max(seconds, 1e-9)),
    }


def _models(
    trained: Sequence[TrainedSeed], config: LlamaConfig, settings: TrainingSettings, flops: int
) -> TrainedModels:
    last = max(1, settings.steps // 20)
    return TrainedModels(
        seeds=settings.seeds,
        length=settings.length,
        parameters=config.parameters,
        tokens=settings.tokens,
        training_flops=flops * settings.tokens,
        final_loss=[round(float(one.history[-last:, 0].mean()), 4) for one in trained],
    )


def curve_rows(trained: Sequence[TrainedSeed], settings: TrainingSettings, flops: int) -> Iterator[Row]:
    """A row for every seed and step. `flops`: operations that one token takes."""
    rate_at = schedule(settings)
    rates = np.asarray([rate_at(step) for step in range(settings.steps)], dtype=np.float32)
    batch = settings.batch * settings.length
    for one in trained:
        for step, ((loss, seconds), learning_rate) in enumerate(zip(one.history.tolist(), rates.tolist(), strict=True)):
            pace = batch / max(seconds, 1e-9)
            yield {
                "seed": one.seed,
                "step": step,
                "loss": loss,
                "learning_rate": learning_rate,
                "tokens": (step + 1) * batch,
                "tokens_per_second": pace,
                "mfu": pace * flops / one.rate,
            }


def plot(rows: Sequence[Row]) -> bytes:
    """The four columns over steps, a line a seed, as PNG: some 40 kB however many steps there are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=75, layout="constrained")
    for axes, (column, title) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for seed, part in groupby(rows, key=lambda row: row["seed"]):
            found = list(part)
            axes.plot([row["step"] for row in found], [row[column] for row in found], linewidth=0.9, label=str(seed))
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
    figure.axes[0].legend(title="seed", fontsize=7, title_fontsize=7)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()
