"""What a comparison of language models can see at given settings: effect, smallest visible difference, and their ratio.

For every setting the plain control, the matched control and the candidate are trained by their own steps on what a
finished root holds, and compared as `evaluation` compares them. Only the loop is this module's: it also keeps the mean
of the weights over the last steps, so that one training shows what averaging them gives. Seconds are of CPU time, which
other processes on the machine do not change much. A setting is RATE[:BATCHxSTEPS[:SEEDS[:DEPTH]]]; the rest is as the
prompt says.

    python -m datashop_assets_tests.benchmarks.comparison_power ROOT OUT --settings .006 .002 .001:4x400

A training, which is one model for all of its seeds, is there as a whole or not at all: a run that was killed goes on
after the last. `--gold TOPIC...` judges a filter that keeps what gold labels call by these names, in place of the
prompt's own. `--alike` trains controls alone, as `--alike --settings .006:8x50:40`, and compares sets of five of them
that differ by chance alone.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from flax import nnx
from scipy import stats

from datashop_assets.core.step import Resources, Step, StepOutput
from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.evaluation.bits import document_bits
from datashop_assets.evaluation.comparison import Losses
from datashop_assets.evaluation.results import TARGETS, EvaluationTargetsResult, Kind
from datashop_assets.evaluation.steps import evaluation_targets
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.models.llama.model import Llama
from datashop_assets.models.llama.weights import save_folder
from datashop_assets.models.tokenizer import encode, end_token
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.trainer import IN_SCRATCH
from datashop_assets.statistics.comparison import visible_difference
from datashop_assets.statistics.figure import LEVEL
from datashop_assets.statistics.intervals import spread, t_interval
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import Root, project
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.writing import replacing
from datashop_assets.trained_lm.results import model_folder
from datashop_assets.trained_lm.steps import control_lm, matched_lm, trained_lm
from datashop_assets.trained_lm.training import TrainedSeed, compiled
from datashop_assets.training_documents.results import DecontaminationResult, PoolTokensResult, read_tokenizer
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets.training_documents.steps import pool_tokens
from datashop_assets_tests.small_lm import KEPT
from datashop_assets_tests.stages import run_step, stage_of_rows

MODELS: tuple[Step[Any, Any], ...] = (control_lm, matched_lm, trained_lm)
FINISHED = (PretrainingPoolResult, DecontaminationResult, FilteredPoolResult, EvaluationTargetsResult)
PAIRS = 20_000  # of disjoint sets of seeds that are alike
LAST = 0  # of averages: the weights after the last step
MEASURES = ((Kind.TARGET, "control_lm"), (Kind.TARGET, "matched_lm"), (Kind.GENERAL, "control_lm"))
HEAD = "| prompt | rate | batch x steps | seeds | depth | mean of last | {} | control | CPU seconds |"


@dataclass(frozen=True)
class Setting:
    """What is varied. None: as the prompt says."""

    learning_rate: float
    batch: int | None = None
    steps: int | None = None
    seeds: int | None = None
    depth: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From RATE[:BATCHxSTEPS[:SEEDS[:DEPTH]]]."""
        rate, *rest = text.split(":")
        batch, steps = (int(one) for one in rest[0].split("x")) if rest and rest[0] else (None, None)
        seeds, depth = [*(int(one) if one else None for one in rest[1:]), None, None][:2]
        return cls(float(rate), batch, steps, seeds, depth)

    def of(self, prompt: Prompt) -> Prompt:
        changes = {name: value for name, value in vars(self).items() if value is not None}
        return prompt.model_copy(update={"training": prompt.training.model_copy(update=changes)})


@dataclass(frozen=True)
class AveragingTrainer:
    """Trains one seed after the other and keeps the mean of the weights over the last steps beside the last ones.

    `averages` are shares of the steps. Raises `FloatingPointError` where a loss is no number.
    """

    folder: Path  # gets `<percent>/seed-<number>`
    averages: tuple[float, ...]
    mesh: str = ""
    checkpointing: Any = IN_SCRATCH

    def run(self, loop: Callable[..., Any], **arguments: Any) -> list[TrainedSeed]:
        del loop  # its steps are taken here
        rows, config, settings = arguments["rows"], arguments["config"], arguments["settings"]
        return [self._one(seed, read(), config, settings) for seed, read in enumerate(rows)]

    def _one(self, seed: int, rows: Any, config: Any, settings: TrainingSettings) -> TrainedSeed:
        program = compiled(config, settings)
        begun = time.process_time()
        state, losses = program.start(seed), list[Any]()
        first = {share: settings.steps - max(1, round(settings.steps * share)) for share in self.averages}
        sums: dict[float, Any] = {}
        for step in range(settings.steps):
            state, loss = program.step(state, rows.laid_out(slice(step * settings.batch, (step + 1) * settings.batch)))
            losses.append(loss)
            for share in self.averages:
                if step >= first[share]:
                    weights = jax.tree.map(np.array, state[0])
                    sums[share] = weights if share not in sums else jax.tree.map(np.add, sums[share], weights)
        history = np.stack([np.asarray(jax.device_get(losses), np.float32), np.zeros(settings.steps, np.float32)], 1)
        seconds = time.process_time() - begun
        if not np.isfinite(history).all():
            raise FloatingPointError(f"the loss of seed {seed} is no number at {settings}")
        graph = nnx.graphdef(nnx.eval_shape(lambda: Llama(config, rngs=nnx.Rngs(0))))
        for share, total in sums.items():
            count = np.float32(settings.steps - first[share])
            mean = jax.tree.map(lambda one, count=count: one / count, total)
            save_folder(nnx.merge(graph, mean), self.folder / f"{share:.0%}" / f"seed-{seed}")
        return TrainedSeed(seed, jax.device_get(state[0]), history, settings.steps, seconds, 1.0)


@dataclass(frozen=True)
class Bench:
    """A finished prompt, and where what is trained on it goes."""

    prompt: Prompt
    outputs: Mapping[str, StepOutput[Any]]  # by step
    out: Path
    averages: tuple[float, ...]

    @classmethod
    def of(cls, root: Root, slug: str, out: Path, averages: tuple[float, ...], gold: Sequence[str]) -> Self:
        prompt = PromptStore(project() / "prompts", root).load(slug)
        outputs = {}
        for result in FINISHED:
            if (folder := root.last_made(slug, result.step)) is None:
                raise ValueError(f"{root.uri} has no finished {result.step} of {slug!r}; run `datashop run {slug}`")
            outputs[result.step] = StepOutput(folder, result)
        bench = cls(prompt, outputs, out, averages)
        return bench._by_gold(root.cache, gold) if gold else bench

    def _by_gold(self, cache: Path, gold: Sequence[str]) -> Self:
        """The same with a filter that knows the gold labels, and with their documents as targets."""
        changed = self.prompt.evaluation.model_copy(update={"gold": tuple(gold), "targets": None})
        prompt = self.prompt.model_copy(update={"evaluation": changed, "slug": "-".join(gold)})
        pool, labels = self.outputs[PretrainingPoolResult.step], load_gold(cache, installed_data(), "embedded")
        out = self.out / prompt.slug

        def rows(shard: str) -> Iterator[dict[str, Any]]:
            for row in pool.rows(f"{shard}.parquet"):
                kept = labels.get(row["id"]) in gold
                yield {"row": row["row"], "id": row["id"], "score": float(kept), "kept": kept}

        def filtered(name: str) -> StageFolder:
            return stage_of_rows(
                out / name,
                FilteredPoolResult.step,
                {f"{shard}.parquet": rows(shard) for shard in pool_shards(pool)},
                KEPT,
            )

        self._once(out / "kept" / FilteredPoolResult.step, lambda: filtered("kept"))
        config = evaluation_targets.configure(prompt)
        assert config is not None
        chosen = self._once(
            out / evaluation_targets.name, lambda: run_step(evaluation_targets, out, config, [self.pool_folder])
        )
        changed_outputs = {
            FilteredPoolResult.step: StepOutput(
                Folder(str(out / "kept" / FilteredPoolResult.step)), FilteredPoolResult
            ),
            EvaluationTargetsResult.step: StepOutput(chosen.folder, EvaluationTargetsResult),
        }
        return replace(self, prompt=prompt, outputs={**self.outputs, **changed_outputs}, out=out)

    @property
    def pool_folder(self) -> StageFolder:
        return self.outputs[PretrainingPoolResult.step]

    @staticmethod
    def _once(place: Path, make: Callable[[], StageFolder]) -> StageFolder:
        finished = StageFolder(Folder(str(place)))
        return finished if (place / "manifest.json").exists() else make()

    def tokens(self, prompt: Prompt) -> StepOutput[PoolTokensResult]:
        config = pool_tokens.configure(prompt)
        assert config is not None
        name = f"pool_tokens-{digest_of(config.model_dump(mode='json'))[:8]}"
        inputs = [self.outputs[PretrainingPoolResult.step], self.outputs[DecontaminationResult.step]]
        made = self._once(self.out / name, lambda: run_step(pool_tokens, self.out, config, inputs, name=name))
        return StepOutput(made.folder, PoolTokensResult)

    def trained(self, setting: Setting, steps: Sequence[Step[Any, Any]] = MODELS) -> "Trained":
        """Trains what is not there yet of these models."""
        prompt = setting.of(self.prompt)
        settings, tokens = TrainingSettings.of(prompt.training), self.tokens(prompt)
        name = f"{settings.learning_rate:g}-{settings.batch}x{settings.steps}-{settings.seeds}-{settings.depth}"
        folders = {}
        for step in steps:
            place, config = self.out / name, step.configure(prompt)
            trainer = AveragingTrainer(place / f"{step.name}-averaged", self.averages)

            def make(step: Step[Any, Any] = step, config: Any = config, trainer: Any = trainer) -> StageFolder:
                inputs = [self.outputs.get(one.result.step, tokens) for one in step.inputs]
                return run_step(step, self.out / name, config, inputs, resources=Resources(trainer=trainer))

            folders[step.name] = StepOutput(self._once(place / step.name, make).folder, step.result)
        return Trained(self, settings, self.out / name, tokens, folders)

    @cached_property
    def chosen(self) -> Any:
        return self.outputs[EvaluationTargetsResult.step].table(TARGETS)


@dataclass(frozen=True)
class Trained:
    """The three models of one setting."""

    bench: Bench
    settings: TrainingSettings
    folder: Path
    tokens: StepOutput[PoolTokensResult]
    models: Mapping[str, StepOutput[Any]]

    def bits(self, average: float) -> dict[str, np.ndarray]:
        """Bits [seeds, documents] by model, of the last weights or of a mean."""
        tokenizer = read_tokenizer(self.tokens)
        end = end_token(tokenizer, self.tokens.result.separator)
        found = {}
        for name, output in self.models.items():
            place = self.folder / f"{name}-{average:.0%}.npy"
            if not place.exists():
                documents = list(encode(tokenizer, self.bench.chosen["text"].to_list()))
                bits = document_bits(self._folders(output, name, average), documents, end, lambda _: None)
                with replacing(place) as ready, ready.open("wb") as file:
                    np.save(file, bits)
            found[name] = np.load(place)
        return found

    def _folders(self, output: StepOutput[Any], name: str, average: float) -> list[Path]:
        seeds = range(self.settings.seeds)
        if average == LAST:
            return [model_folder(output, seed) for seed in seeds]
        return [self.folder / f"{name}-averaged" / f"{average:.0%}" / f"seed-{seed}" for seed in seeds]

    def bits_a_byte(self, bits: np.ndarray, kind: Kind) -> np.ndarray:
        """bits [seeds, documents] -> [seeds], on the documents of a kind."""
        chosen = self.bench.chosen
        sizes = np.array([len(text.encode()) for text in chosen["text"]])
        of_kind = (chosen["kind"] == kind).to_numpy()
        found: np.ndarray = Losses(bits, bits, sizes).of(of_kind).control.sum(axis=1) / sizes[of_kind].sum()
        return found

    @property
    def seconds(self) -> float:
        return float(sum(output.result.training_seconds for output in self.models.values()))

    def figures(self, average: float) -> dict[str, Any]:
        """What the table shows of this setting, in bits per byte."""
        bits = {
            name: {kind: self.bits_a_byte(found, kind) for kind in Kind} for name, found in self.bits(average).items()
        }
        measures = {}
        for kind, against in MEASURES:
            control, trained = bits[against][kind], bits["trained_lm"][kind]
            differences = trained - control
            visible = visible_difference(spread(differences), len(differences))
            measures[f"{kind} against {against.removesuffix('_lm')}"] = {
                "difference": t_interval(differences).as_json(),
                "spread": spread(differences),
                "visible": visible,
                "ratio": abs(float(differences.mean())) / visible,
                "correlation": float(np.corrcoef(control, trained)[0, 1]),
                "control": float(control.mean()),
            }
        about = {"prompt": self.bench.prompt.slug, "average": average, "seconds": round(self.seconds, 1)}
        return {**about, **vars(self.settings), "measures": measures}


def byte_entropy(texts: Sequence[str]) -> float:
    """Bits a byte of these texts under the best model that knows nothing but how often each byte is in them."""
    counts = np.array(list(Counter(b"".join(text.encode() for text in texts)).values()), dtype=np.float64)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def share_alike(bits: np.ndarray, pairs: int, seeds: int = 5) -> float:
    """bits a byte [S] of models that differ by chance alone -> of so many random pairs of disjoint sets of seeds the
    share whose difference has an interval that holds zero. Nominal is 95%; pairs share models, so it varies by more
    than their number says.
    """
    random = np.random.default_rng(0)
    drawn = random.permuted(np.tile(np.arange(len(bits)), (pairs, 1)), axis=1)[:, : 2 * seeds]
    differences = bits[drawn[:, :seeds]] - bits[drawn[:, seeds:]]
    errors = differences.std(axis=1, ddof=1) / seeds**0.5
    return float(np.mean(np.abs(differences.mean(axis=1)) <= stats.t.ppf(0.975, seeds - 1) * errors))


def line(figures: Mapping[str, Any]) -> str:
    cells = [figures["prompt"], f"{figures['learning_rate']:g}", f"{figures['batch']} x {figures['steps']}"]
    cells += [str(figures["seeds"]), str(figures["depth"]), f"{figures['average']:.0%}"]
    for one in figures["measures"].values():
        found = one["difference"]
        cells.append(
            f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f}); {one['visible']:.3f}; "
            f"{one['ratio']:.1f}; r {one['correlation']:+.2f}"
        )
    controls = [next(one["control"] for name, one in figures["measures"].items() if name.startswith(k)) for k in Kind]
    cells += [" / ".join(f"{each:.2f}" for each in controls), f"{figures['seconds']:.0f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a root with a finished prompt; it is only read")
    parser.add_argument("out", type=Path, help="folder for what is trained")
    parser.add_argument("--prompt", default="mathematics")
    parser.add_argument("--settings", nargs="+", type=Setting.parse, required=True)
    parser.add_argument("--averages", nargs="*", type=float, default=(0.25,), help="shares of the steps")
    parser.add_argument("--shown", nargs="*", type=float, help="of the averages, 0 for the last weights; default: all")
    parser.add_argument("--gold", nargs="*", default=())
    parser.add_argument("--alike", action="store_true", help="the controls' seeds alone, against each other")
    asked = parser.parse_args()
    averages = tuple(asked.averages)
    bench = Bench.of(Root(asked.root), asked.prompt, asked.out, averages, asked.gold)
    bench.out.mkdir(parents=True, exist_ok=True)
    texts = {kind: bench.chosen.filter(bench.chosen["kind"] == kind)["text"].to_list() for kind in Kind}
    entropy = {str(kind): round(byte_entropy(of), 3) for kind, of in texts.items()}
    if asked.alike:
        for setting in asked.settings:
            trained = bench.trained(setting, [control_lm])
            [bits] = trained.bits(LAST).values()
            alike = {str(kind): round(share_alike(trained.bits_a_byte(bits, kind), PAIRS), 4) for kind in Kind}
            print(json.dumps({**vars(trained.settings), "not distinguishable": alike, "nominal": LEVEL}), flush=True)
        return
    print(f"a model of byte frequencies, bits a byte: {entropy}", flush=True)
    titles = (f"{kind} against {against.removesuffix('_lm')}" for kind, against in MEASURES)
    print(HEAD.format(" | ".join(titles)), flush=True)
    rows = []
    for setting in asked.settings:
        trained = bench.trained(setting)
        for average in (LAST, *averages) if asked.shown is None else asked.shown:
            rows.append(trained.figures(average))
            print(line(rows[-1]), flush=True)
    print(json.dumps({"byte_entropy": entropy, "settings": rows}))


if __name__ == "__main__":
    main()
