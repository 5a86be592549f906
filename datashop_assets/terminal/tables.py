"""What the terminal shows. Colour obeys NO_COLOR; everything but JSON is for people and may change."""

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datashop_assets.statistics.figure import Figure

COLOURS = {"current": "green", "incomplete": "yellow", "stale": "yellow", "missing": "red"}
# What a person asks first of a stage that is done.
HEADLINES = {
    "annotations": ("coverage",),
    "encoder": ("auc", "gold_auc"),
    "filtered_pool": ("gold_precision",),
    "evaluation": ("verdict",),
}

CONTROLS = {"": "plain", "matched_": "matched"}  # matched: with the kept documents' sources and lengths

Stages = Mapping[str, Mapping[str, Any]]


def say(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(Text(text))


@contextmanager
def clear_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Errors that a person can mend are printed without a traceback, and end the command with code 2."""
    try:
        yield
    except kinds as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(Text(str(error), style="red"))
        sys.exit(2)


def states(found: Mapping[str, Any]) -> None:
    """One line a prompt and stage, then what is wrong with prompts that cannot be used."""
    for slug, stages in found["prompts"].items():
        Console().print(_stage_table(slug, stages))
    for problem in found["problems"].values():
        Console(stderr=True, soft_wrap=True, highlight=False).print(Text(problem, style="red"))


def results(slug: str, stages: Stages, made: Collection[str]) -> None:
    """The end of a run: what each stage took, the comparison, where things are."""
    console = Console()
    console.print(_stage_table(slug, stages, made))
    if stages["evaluation"]["state"] == "current":
        console.print(_comparison_table(stages["evaluation"]["metrics"]))
        say(f"Comparison  {stages['evaluation']['path']}")
    if stages["filtered_pool"]["state"] == "current":
        say(f"Kept        {stages['filtered_pool']['path']}")
    if stages["data_card"]["state"] == "current":
        say(f"Data card   {stages['data_card']['metrics']['path']}")
    say("Look at it  datashop ui, then open http://127.0.0.1:3000")


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def _stage_table(slug: str, stages: Stages, made: Collection[str] = ()) -> Table:
    table = Table(title=slug, title_justify="left", box=None, pad_edge=False)
    for column in ("stage", "state", "rows", "took", ""):
        table.add_column(column, justify="right" if column in ("rows", "took") else "left", overflow="fold")
    for name, stage in stages.items():
        state = "made now" if name in made and stage["state"] == "current" else stage["state"]
        state += f": {stage['failed_calls']} failed" if stage.get("failed_calls") else ""
        table.add_row(
            name,
            Text(state, style=COLOURS[stage["state"]]),
            f"{stage['rows']:,}" if "content_digest" in stage else "",
            duration(stage["seconds"]) if "content_digest" in stage else "",
            _headline(name, stage["metrics"]),
        )
    return table


def _headline(name: str, metrics: Mapping[str, Any]) -> str:
    return "  ".join(
        f"{key} {_number(metrics[key])}" for key in HEADLINES.get(name, ()) if metrics.get(key) is not None
    )


def _comparison_table(metrics: Mapping[str, Any]) -> Table:
    table = Table(
        title="bits per byte, candidate minus control; below zero is better",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for column in ("held-out", "control", "difference", "95% over seeds", "verdict"):
        table.add_column(column, no_wrap=True)
    for against, name in CONTROLS.items():
        for kind in ("target", "general"):
            key = f"{against}{kind}"
            if (difference := Figure.from_metrics(metrics, f"{key}_bpb_difference")) is not None:
                interval = "none (one seed)" if difference.low is None else difference.interval("+.3f")
                table.add_row(kind, name, f"{difference.value:+.3f}", interval, str(metrics.get(f"{key}_verdict", "")))
    return table


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
