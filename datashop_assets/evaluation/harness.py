"""EleutherAI's lm-evaluation-harness on exported models: tasks by name, or of one's own in its YAML format.

    python -m datashop_assets.evaluation.harness FOLDER... --tasks arc_easy,hellaswag --python .venv-peers/bin/python

FOLDER is a seed's folder of `control_lm`, `matched_lm` or `trained_lm`. The harness needs torch, so it runs in another
environment than this one (`make peers`). Tasks by name (mmlu, arc_easy, hellaswag, gsm8k) need the Hugging Face hub.

A task has one headline, the first of `HEADLINES` that the harness gives for it; in all of them more is better. The
candidate is compared with its controls seed by seed, and the verdicts are corrected for being many.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from datashop_assets.evaluation.results import Verdict
from datashop_assets.processes.child import run_child
from datashop_assets.statistics.comparison import holm, paired_p_value
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval

HEADLINES = (
    *("acc_norm,none", "acc,none"),
    *("exact_match,strict-match", "exact_match,flexible-extract", "exact_match,none"),
)
HEAD = ("task", "against", "measure", "control", "trained", "difference", "95% over seeds", "p, corrected", "verdict")
Scores = dict[str, dict[str, Any]]  # task -> measure -> value
Headline = tuple[str, float]


class TaskMeasure(BaseModel):
    """The candidate against one of its controls on a task: above zero the candidate is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: str
    against: str
    measure: str
    control: float  # mean of the seeds
    trained: float
    difference: Figure
    p: float | None  # of the paired t test over seeds; None for one seed
    p_corrected: float | None = None
    verdict: Verdict = Verdict.NONE


def scores(
    folder: Path, tasks: Sequence[str], *, python: Path, include: Path | None = None, limit: int | None = None
) -> Scores:
    """What the harness measures of the model in `folder`. `include` holds task files, `limit` bounds their documents.

    Raises `RuntimeError` with the harness's last words where it fails, and `ValueError` for a name that is no task's.
    """
    if bad := [task for task in tasks if not task.replace("_", "").replace("-", "").isalnum()]:
        raise ValueError(f"{bad} are no names of tasks; use letters, digits, '-' and '_'")
    with tempfile.TemporaryDirectory() as out:
        command = [str(python), "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={folder},dtype=float32"]
        command += ["--tasks", ",".join(tasks), "--output_path", out, "--batch_size", "8"]
        command += ["--include_path", str(include)] if include else []
        command += ["--limit", str(limit)] if limit else []
        done = run_child(command)
        if done.returncode:
            raise RuntimeError(f"lm_eval of {folder} ended with code {done.returncode}: {done.stderr[-1500:]}")
        [found] = Path(out).rglob("results*.json")
        results: Scores = json.loads(found.read_text())["results"]
    return results


def compared(found: Mapping[str, Sequence[Scores]], tasks: Sequence[str]) -> list[TaskMeasure]:
    """found: for `trained` and each control the scores of every seed, in order -> one for each task and control."""
    measures = [
        _measure(task, against, _headlines(scores, task), _headlines(found["trained"], task), _grain(scores[0], task))
        for task in tasks
        for against, scores in found.items()
        if against != "trained"
    ]
    judged = [number for number, measure in enumerate(measures) if measure.p is not None]
    for number, p in zip(judged, holm([measures[number].p or 0.0 for number in judged]), strict=True):
        measure = measures[number]
        verdict = Verdict.by_corrected_p(-measure.difference.value, p)  # made for measures of which less is better
        measures[number] = measure.model_copy(update={"p_corrected": p, "verdict": verdict})
    return measures


def table(measures: Sequence[TaskMeasure]) -> str:
    """As Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for one in measures:
        corrected = "none" if one.p_corrected is None else f"{one.p_corrected:.3f}"
        numbers = f"{one.control:.3f} | {one.trained:.3f} | {one.difference.value:+.3f}"
        interval = one.difference.interval("+.3f")
        lines.append(
            f"| {one.task} | {one.against} | {one.measure} | {numbers} | {interval} | {corrected} | {one.verdict} |"
        )
    return "\n".join(lines)


def _measure(
    task: str, against: str, control: Sequence[Headline], trained: Sequence[Headline], grain: float
) -> TaskMeasure:
    one, two = (np.array([score for _, score in side]) for side in (control, trained))
    return TaskMeasure(
        task=task,
        against=against,
        measure=trained[0][0],
        control=float(one.mean()),
        trained=float(two.mean()),
        difference=t_interval(two - one, grain, "seeds"),
        p=paired_p_value(two - one, grain),
    )


def _grain(scores: Scores, task: str) -> float:
    """What one question of a task is worth; 0 where the harness does not say how many it asked."""
    asked = scores.get(task, {}).get("sample_len")
    return 1 / asked if asked else 0.0


def _headlines(seeds: Sequence[Scores], task: str) -> list[Headline]:
    """Name and value of a task's headline for each seed. Raises `ValueError` for a task that has none."""
    for name in HEADLINES:
        if all(name in scores.get(task, {}) for scores in seeds):
            return [(name.partition(",")[0], float(scores[task][name])) for scores in seeds]
    raise ValueError(f"task {task!r} has none of {', '.join(HEADLINES)}, but {sorted(seeds[0].get(task, {}))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--tasks", required=True, help="names, with commas between")
    parser.add_argument("--python", type=Path, default=Path(".venv-peers/bin/python"))
    parser.add_argument("--include", type=Path, help="a folder with task files")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    for folder in given.folder:
        found = scores(folder, given.tasks.split(","), python=given.python, include=given.include, limit=given.limit)
        print(json.dumps({"folder": str(folder), "scores": found}), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
