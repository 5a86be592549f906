"""What the UI shows of tokens and of trained models: counts, and how the loss fell."""

import base64
from collections.abc import Mapping, Sequence

import polars as pl

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.build import CURVE

WIDTH, HEIGHT = 640, 240  # pixels of the drawing
POINTS = 60  # of each seed's curve: a drawing stays below 10 kB
COLOURS = ("#4C78A8", "#F58518", "#54A24B", "#B279A2", "#E45756")


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown, for any of this room's stages."""
    if folder.manifest.stage == "pool_tokens":
        return {"tokens by split": _splits(folder)}
    return {"loss by seed": _losses(folder), "loss curve": _drawing(folder)}


def _splits(folder: StageFolder) -> str:
    documents, tokens = folder.metrics["documents"], folder.metrics["tokens"]
    lines = [f"| {split} | {documents[split]:,} | {tokens[split]:,} |" for split in documents]
    return "\n".join(["| split | documents | tokens |", "| --- | --- | --- |", *lines])


def _losses(folder: StageFolder) -> str:
    curve = folder.table(CURVE).sort("seed", "step")
    table = curve.group_by("seed", maintain_order=True).agg(
        pl.col("loss").first().alias("first"), pl.col("loss").tail(max(1, curve["step"].n_unique() // 20)).mean()
    )
    lines = [f"| {seed} | {first:.3f} | {last:.3f} |" for seed, first, last in table.iter_rows()]
    return "\n".join(["| seed | first step, nats a token | last twentieth |", "| --- | --- | --- |", *lines])


def _drawing(folder: StageFolder) -> str:
    """The curves as an SVG picture within the text."""
    curve = folder.table(CURVE).sort("seed", "step")
    top, bottom = float(curve["loss"].max()), float(curve["loss"].min())  # type: ignore[arg-type]
    steps = int(curve["step"].max()) + 1  # type: ignore[arg-type]
    lines = []
    for (seed,), part in curve.group_by("seed", maintain_order=True):
        smooth = part.group_by(pl.col("step") * POINTS // steps, maintain_order=True).agg(
            pl.col("loss").mean(), pl.col("step").mean().alias("at")
        )
        points = _points(smooth["at"].to_list(), smooth["loss"].to_list(), steps, (bottom, top))
        colour = COLOURS[int(seed) % len(COLOURS)]
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>')
    svg = _svg(lines, (bottom, top), steps)
    return f"![loss by step](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _points(steps: Sequence[float], losses: Sequence[float], last: int, bounds: tuple[float, float]) -> str:
    reach = max(bounds[1] - bounds[0], 1e-9)
    return " ".join(
        f"{step / max(last, 1) * WIDTH:.1f},{(bounds[1] - loss) / reach * HEIGHT:.1f}"
        for step, loss in zip(steps, losses, strict=True)
    )


def _svg(lines: Sequence[str], bounds: tuple[float, float], steps: int) -> str:
    text = 'font-family="sans-serif" font-size="11"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(lines)}'
        f'<text x="4" y="12" {text}>{bounds[1]:.2f} nats a token</text>'
        f'<text x="4" y="{HEIGHT - 6}" {text}>{bounds[0]:.2f}</text>'
        f'<text x="{WIDTH - 80}" y="{HEIGHT - 6}" {text}>{steps:,} steps</text></svg>'
    )
