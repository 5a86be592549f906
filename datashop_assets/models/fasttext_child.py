"""Trains one fastText model in a process of its own, called by path with a JSON file of `train_supervised` arguments.

It stands apart because it must start with `MALLOC_PERTURB_` already in its environment (see `fasttext.py`), and
imports nothing of this project, so that it starts in a fifth of a second.
"""

import json
import sys
from pathlib import Path

import fasttext


def main(arguments: Path, model: Path) -> None:
    fasttext.train_supervised(**json.loads(arguments.read_text())).save_model(str(model))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
