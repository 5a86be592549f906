"""What the UI shows of trained models."""

import base64
from collections.abc import Mapping

import polars as pl

from datashop_assets.core.step import StepOutput
from datashop_assets.markdown import table
from datashop_assets.trained_lm.results import CURVE, PICTURE, LMResult, MatchedLMResult, TrainedLMResult
from datashop_assets.training_documents.describe import drawn_table


def models(output: StepOutput[LMResult]) -> Mapping[str, str]:
    """Of the control."""
    return {"loss by seed": _losses(output), "training": _picture(output)}


def own_models(output: StepOutput[TrainedLMResult] | StepOutput[MatchedLMResult]) -> Mapping[str, str]:
    """Of models that read documents of their own."""
    own = output.result.own
    said = f"Each seed read {own.tokens_read:,} tokens of its own documents, {own.epochs:.2f} times through them."
    return {**models(output), "own documents": f"{said}\n\n{drawn_table(own.checked)}"}


def _losses(output: StepOutput[LMResult]) -> str:
    curve = output.table(CURVE).sort("seed", "step")
    found = curve.group_by("seed", maintain_order=True).agg(
        pl.col("loss").first().alias("first"), pl.col("loss").tail(max(1, curve["step"].n_unique() // 20)).mean()
    )
    lines = [(seed, f"{first:.3f}", f"{last:.3f}") for seed, first, last in found.iter_rows()]
    return table(("seed", "first step, nats a token", "last twentieth"), lines)


def _picture(output: StepOutput[LMResult]) -> str:
    picture = base64.b64encode(output.file(PICTURE).read_bytes()).decode()
    return f"![loss, learning rate, tokens a second and MFU by step](data:image/png;base64,{picture})"
