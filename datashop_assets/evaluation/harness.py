"""EleutherAI's lm-evaluation-harness on exported models: tasks by name, or of one's own in its YAML format.

    python -m datashop_assets.evaluation.harness FOLDER... --tasks arc_easy,hellaswag --python .venv-peers/bin/python

FOLDER is a seed's folder of `control_lm`, `matched_lm` or `trained_lm`. The harness needs torch, so it runs in another
environment than this one (`make peers`). Tasks by name (mmlu, arc_easy, hellaswag, gsm8k) need the Hugging Face hub.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Scores = dict[str, dict[str, Any]]  # task -> measure -> value


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
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        if done.returncode:
            raise RuntimeError(f"lm_eval of {folder} ended with code {done.returncode}: {done.stderr[-1500:]}")
        [found] = Path(out).rglob("results*.json")
        results: Scores = json.loads(found.read_text())["results"]
    return results


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
