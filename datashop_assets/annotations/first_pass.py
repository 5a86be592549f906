"""The first pass of a cascade: a cheap score for every document that the full rubric may be spent on.

It only ranks. What a document stands for follows from the sizes of the strata (`design.py`), so that a bad first pass
costs precision and never a bias. A document that the first pass could not score ranks lowest, and may be drawn there.
"""

import pkgutil
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from datashop_assets.annotations.question import parsing_as, question_of
from datashop_assets.answers.asking import Asking
from datashop_assets.answers.store import AnswerStore, from_line
from datashop_assets.processors.judging import judge_of
from datashop_assets.protocols.annotator import Asked
from datashop_assets.stage import StageTask
from datashop_assets.storage.digests import digest_of_bytes
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder

CASCADE = "strata of the first pass's score"
UNSCORED = -1.0
NO_ANSWER = ("~", UNSCORED)  # after every digest
BATCH = 4096
FINAL_SCORE = {"type": "finalscore0-5", "options": {}}
LOAD_ENCODER = "datashop_assets.encoder.trained:load"  # by path: a fixed input from another prompt's graph, and no edge

Texts = Iterable[tuple[str, str]]  # content and text


def first_pass_scores(task: StageTask, texts: Texts, count: int) -> dict[str, float]:
    """A score for each content. Raises `ValueError` for an encoder that is not there."""
    if "encoder" in task.config["cascade"]:
        return _by_encoder(task, texts, task.config["cascade"]["encoder"])
    return _by_annotator(task, texts, count)


def _by_annotator(task: StageTask, texts: Texts, count: int) -> dict[str, float]:
    """Asked through the answer store, like any question."""
    cascade, annotator = task.config["cascade"], task.tools.annotator
    assert annotator is not None
    question = question_of(cascade["asked"], cascade["prompt"], annotator)
    asking = Asking(annotator, question, AnswerStore.of(task.answers, question))
    judge = judge_of(parsing_as(cascade["asked"], FINAL_SCORE))
    ranked = dict[str, tuple[str, float]]()

    def asked() -> Iterator[tuple[str, Asked]]:
        for content, text in texts:
            ranked[content] = NO_ANSWER
            yield content, Asked(content, text, "")

    with task.tools.progress.bar("first pass", count, "documents") as bar:
        asking.ask(asked(), bar)
    for key, line in asking.store.lines():
        if key in ranked:
            score = judge.judge(from_line(line)).expected_score
            # of two answers to one key, from two runs at once, always the same one stands
            ranked[key] = min(ranked[key], (digest_of_bytes(line), UNSCORED if score is None else score))
    return {key: score for key, (_, score) in ranked.items()}


def _by_encoder(task: StageTask, texts: Texts, digest: str) -> dict[str, float]:
    folder = Root(task.answers.uri.removesuffix("/answers")).stage("encoder", digest)
    if not folder.exists("manifest.json"):
        raise ValueError(
            f"annotator.cascade.encoder: no finished encoder {digest} at {folder.uri}; `datashop status --json` lists "
            "the digests of those that are there"
        )
    encoder: Any = pkgutil.resolve_name(LOAD_ENCODER)(StageFolder(folder))
    scores, remaining = dict[str, float](), iter(texts)
    while batch := list(islice(remaining, BATCH)):
        margins = encoder.margins([text for _, text in batch])
        scores |= dict(zip((content for content, _ in batch), map(float, margins), strict=True))
    return scores
