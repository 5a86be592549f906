"""Control, matched control and candidate: the same start, the same steps, the shared rows at the same places.

The demo's models (166,000 weights, 200 steps of 1,024 tokens, five seeds) take some 45 ms a step and core.
"""

from functools import partial

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.trained_lm.checkpoint_start import Start, check_length, check_tokens
from datashop_assets.trained_lm.curve import CURVE, CURVE_SCHEMA, PLOT, VOLATILE, curve_rows, plot
from datashop_assets.trained_lm.export import export
from datashop_assets.trained_lm.loop import Trained, train_seeds
from datashop_assets.trained_lm.settings import TrainingSettings
from datashop_assets.trained_lm.streams import Reading, read_streams
from datashop_assets.trained_lm.tokenizer import end_token
from datashop_assets.trained_lm.tokens import read_tokenizer
from datashop_assets.trained_lm.training_pool import TrainingPool


def build_control(run: OpenRun) -> Metrics:
    """Trains on the pool alone."""
    settings = _settings(run)
    return _build(run, settings, read_streams(_pool(run), None, settings), "control_lm")


def build_matched(run: OpenRun) -> Metrics:
    """Trains on documents drawn to have the mix of sources and lengths of the kept ones; not, where not asked for."""
    if run.config.get("asked") is False:
        return {"status": "not asked"}
    settings = _settings(run)
    reading = read_streams(_pool(run), run.inputs["filtered_pool"], settings, matched=True)
    held = [streams.own.size for streams in reading.seeds]
    own = int(settings.own_rows.sum()) * settings.length
    facts = {
        "matched_tokens_held": held,
        "matched_epochs": round(own * len(held) / sum(held), 3),
        "filtered_tokens_held": min(reading.kept_tokens, own + 1),
    }
    return {"status": "trained", **_build(run, settings, reading, "matched_lm"), **facts}


def build_candidate(run: OpenRun) -> Metrics:
    """Trains on the pool with kept documents in the candidate's own rows."""
    settings = _settings(run)
    reading = read_streams(_pool(run), run.inputs["filtered_pool"], settings)
    own = int(settings.own_rows.sum()) * settings.length
    epochs = {
        "filtered_tokens_read": own,
        "filtered_tokens_held": reading.kept_tokens,
        "filtered_epochs": round(own / reading.kept_tokens, 3),
    }
    return {**_build(run, settings, reading, "trained_lm"), **epochs}


def _settings(run: OpenRun) -> TrainingSettings:
    vocabulary = run.inputs["pool_tokens"].metrics["vocabulary"]
    return TrainingSettings.from_config(run.config, vocabulary)


def _pool(run: OpenRun) -> TrainingPool:
    return TrainingPool(run.inputs["pool_tokens"], run.inputs["decontamination"])


def _build(run: OpenRun, settings: TrainingSettings, reading: Reading, name: str) -> Metrics:
    trainer = run.resources.trainer
    if trainer is None:
        raise ValueError(f"{name} needs a trainer; give Resources(trainer=...)")
    tokenizer, separator = read_tokenizer(run.inputs["pool_tokens"])
    start = Start.named(run.config["checkpoint"]["name"]) if run.config.get("checkpoint") else None
    config = start.config() if start else settings.llama(tokenizer.get_vocab_size())
    if start:
        check_tokens(start, tokenizer)
        check_length(config, settings.length)
    end = end_token(tokenizer, separator)
    with run.resources.progress.bar(f"training {name}", settings.steps * settings.seeds, "steps") as bar:
        trained: list[Trained] = trainer.run(
            train_seeds,
            rows=[partial(streams.rows, settings, end) for streams in reading.seeds],
            config=config,
            settings=settings,
            scratch=run.output.scratch,
            advance=bar.advance,
            weights=start.weights if start else None,
            mesh=trainer.mesh,
            checkpointing=trainer.checkpointing,
        )
    for result in trained:
        export(run, result, config, tokenizer, separator)
    flops = config.training_flops(settings.length)
    rows = list(curve_rows(trained, settings, flops))
    run.output.write_rows(CURVE, rows, CURVE_SCHEMA, volatile=VOLATILE)
    run.output.put_bytes(PLOT, plot(rows), identity=False)
    return _metrics(trained, config.parameters, flops, settings, reading)


def _metrics(
    trained: list[Trained], parameters: int, flops: int, settings: TrainingSettings, reading: Reading
) -> Metrics:
    seconds = sum(result.seconds for result in trained)
    done = sum(result.steps for result in trained)
    last = max(1, settings.steps // 20)
    return {
        "parameters": parameters,
        "tokens": settings.tokens,
        "training_flops": flops * settings.tokens,  # of one seed
        "pool_training_tokens": reading.pool_tokens,
        "training_seconds": round(seconds, 2),  # of all seeds, several of which run at once
        "tokens_per_second": round(done * settings.batch * settings.length / max(seconds, 1e-9)),  # of one seed
        "final_loss": [round(float(result.history[-last:, 0].mean()), 4) for result in trained],
    }
