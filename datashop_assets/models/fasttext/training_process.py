"""Trains one fastText model in a process of its own, called by path with `train_supervised` arguments as JSON.

It stands apart because it must start with `MALLOC_PERTURB_` already in its environment (see `classifier.py`), and
imports nothing of this project, so that it starts in a fifth of a second.
"""

import json
import sys

import fasttext

if __name__ == "__main__":
    arguments, model = sys.argv[1:]
    fasttext.train_supervised(**json.loads(arguments)).save_model(model)
