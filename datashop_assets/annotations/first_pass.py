"""The first pass of a cascade: a cheap score for every document that the full rubric may be spent on.

It only ranks. What a document stands for follows from the sizes of the strata (`design.py`), so that a bad first pass
costs precision and never a bias. A document that the first pass could not score ranks lowest, and may be drawn there.
"""

import pkgutil
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from datashop_assets.annotations.question import parsing_as, question_of
from datashop_assets.annotations.scores import asked_scores
from datashop_assets.core.step import OpenRun
from datashop_assets.processors.judging import judge_of
from datashop_assets.protocols.annotator import AnnotationRequest
from datashop_assets.storage.manifest import MANIFEST
from datashop_assets.storage.stage_folder import StageFolder

CASCADE = "strata of the first pass's score"
UNSCORED = -1.0
BATCH = 4096
FINAL_SCORE = {"type": "finalscore0-5", "options": {}}
LOAD_ENCODER = "datashop_assets.encoder.trained:load"  # by path: a fixed input from another prompt's graph, and no edge

Texts = Iterable[tuple[str, str]]  # content and text


def first_pass_scores(run: OpenRun, contents: Sequence[str], texts: Texts) -> dict[str, float]:
    """A score for each of `contents`, whose `texts` these are. Raises `ValueError` for an encoder that is not there."""
    if "encoder" in run.config["cascade"]:
        return _by_encoder(run, texts, run.config["cascade"]["encoder"])
    return _by_annotator(run, contents, texts)


def _by_annotator(run: OpenRun, contents: Sequence[str], texts: Texts) -> dict[str, float]:
    """Asked through the answer store, like any question."""
    cascade, annotator = run.config["cascade"], run.resources.annotator
    assert annotator is not None
    question = question_of(cascade["asked"], cascade["prompt"], annotator)
    judge = judge_of(parsing_as(cascade["asked"], FINAL_SCORE))
    asked = ((content, AnnotationRequest(content, text, "")) for content, text in texts)
    with run.resources.progress.bar("first pass", len(contents), "documents") as bar:
        scores = asked_scores(run, question, judge, contents, asked, bar=bar)
    return {content: UNSCORED if score is None else score for content, score in scores.items()}


def _by_encoder(run: OpenRun, texts: Texts, digest: str) -> dict[str, float]:
    assert run.outputs is not None
    folder = run.outputs.child("encoder", digest)
    if not folder.exists(MANIFEST):
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
