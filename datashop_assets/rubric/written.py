"""A rubric that the annotator writes from target documents; `calls.parquet` accounts for every call."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.protocols.annotator import Annotator, Reading, Sampling
from datashop_assets.rubric.merging import described, merged
from datashop_assets.rubric.scribe import CALLS, Piece, Scribe
from datashop_assets.rubric.target_documents import TargetDocuments, target_documents
from datashop_assets.rubric.wording import wrapped

CALLS_FILE = "calls.parquet"


def written(run: OpenRun) -> tuple[dict[str, Any], Metrics]:
    """The rubric with each set's description, and metrics: who wrote it, documents, described, left_out, calls, tokens.

    Raises `ValueError` where too few documents could be described, or descriptions not be merged.
    """
    if run.resources.annotator is None:
        raise ValueError("a rubric from targets needs an annotator; give one in Resources(annotator=...)")
    scribe = _scribe(run, run.resources.annotator)
    sets = {name: target_documents(name, one, run.cache) for name, one in run.config["targets"].items()}
    descriptions = _descriptions(run, scribe, sets)
    run.output.write_rows(CALLS_FILE, scribe.calls, CALLS, volatile=("seconds",), beside=True)
    text = wrapped(descriptions, run.config["writing"]["characters"])
    question = {"model": scribe.model[0], "revision": scribe.model[1]}
    return {"text": text, "origin": "written", "sets": descriptions}, {"question": question, **_metrics(scribe, sets)}


def _scribe(run: OpenRun, annotator: Annotator) -> Scribe:
    model, revision = annotator.identity(run.config["model"])
    writing = run.config["writing"]
    identity = (model, run.config["revision"] or revision)
    return Scribe(annotator, run.answers, identity, Sampling(**writing["sampling"]), writing["attempts"])


def _descriptions(run: OpenRun, scribe: Scribe, sets: Mapping[str, TargetDocuments]) -> dict[str, str]:
    writing = run.config["writing"]
    calls = sum(2 * len(one.documents) - 1 for one in sets.values())
    found = {}
    with run.resources.progress.bar("rubric", calls, "descriptions") as bar:
        for name, targets in sets.items():
            pieces = [Piece(name, document, text) for document, text in targets.documents]
            each = described(scribe, pieces, Reading(writing["read_characters"]), writing["described"], bar)
            found[name] = merged(scribe, each, writing["seed"], bar)
    return found


def _metrics(scribe: Scribe, sets: Mapping[str, TargetDocuments]) -> Metrics:
    asked = [call for call in scribe.calls if call["step"] == "describe"]
    left_out = [call for call in asked if call["lost"]]
    return {
        "documents": {name: len(one.documents) for name, one in sets.items()},
        "rejected": {name: one.rejected for name, one in sets.items() if one.rejected},
        "described": len(asked) - len(left_out),
        "left_out": [f"{call['set']}: {call['document']}: {call['reason']}" for call in left_out],
        "calls": len(scribe.calls),
        "by_ending": dict(Counter(call["ended"] for call in scribe.calls)),
        "cut": sum(call["cut"] for call in scribe.calls),
        "tokens_in": sum(call["tokens_in"] for call in scribe.calls),
        "tokens_out": sum(call["tokens_out"] for call in scribe.calls),
    }
