"""What one document costs: asked about for real, or worked out from a stated throughput."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datashop_assets.annotations.design import design_of
from datashop_assets.annotations.draws import first_round
from datashop_assets.annotations.question import question_of, rubric_text
from datashop_assets.annotations.sample import documents, index_of
from datashop_assets.answers.asking import Asking
from datashop_assets.answers.store import AnswerStore
from datashop_assets.core.plan import Plan
from datashop_assets.core.step import Resources
from datashop_assets.excerpts import excerpt
from datashop_assets.protocols.annotator import AnnotationRequest
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval
from datashop_assets.storage.folders import Folder

CHARACTERS_A_TOKEN = 4.0  # of English, where nobody counts tokens


@dataclass(frozen=True)
class Pilot:
    """Tokens a document, read and written, and tokens a second. `asked` were sent now, the others had answers."""

    tokens: Figure
    tokens_per_second: float | None
    documents: int
    asked: int
    measured: str  # how the pace is known


def asked_pilot(plan: Plan, tools: Resources, answers: Folder, count: int) -> Pilot:
    """Asks about the first `count` documents of the first round, which annotation will ask too: answers are kept.

    They are the first in the order in which annotation asks, in whole groups, so that it forms the same groups.

    The sample and the rubric must have been made. Raises `ValueError` where no document is answered.
    """
    assert tools.annotator is not None
    config = plan["annotations"].config
    question = question_of(config["asked"], rubric_text(plan["rubric"].output), tools.annotator)
    asking = Asking(tools.annotator, question, AnswerStore.of(answers, question))
    group = tools.annotator.group or 1
    contents, started = _chosen(plan, -(-count // group) * group), time.monotonic()
    with tools.progress.bar("pilot", len(contents), "documents") as bar:
        rows = documents(plan["annotation_sample"].output, contents)
        asking.ask(((row["content"], AnnotationRequest(row["id"], row["text"], row["source"])) for row in rows), bar)
    seconds = time.monotonic() - started
    found = asking.store.answers(contents)
    if not found:
        raise ValueError(f"no document of the pilot was answered; the last failure: {[*asking.failures.values()][-1:]}")
    tokens = [one.tokens_in + one.tokens_out for one in found.values()]
    if asking.asked:
        pace, measured = sum(tokens) * asking.asked / len(found) / seconds, "by the clock, in this pilot"
    else:  # seconds of one answer count the wait of all that were asked beside it, so that this is a lower bound
        pace, measured = sum(tokens) / max(1e-9, sum(one.seconds for one in found.values())), "from stored answers"
    return Pilot(t_interval(tokens).at_least(0.0), pace, len(found), asking.asked, measured)


def stated_pilot(plan: Plan, count: int, tokens_per_second: float) -> Pilot:
    """From characters and a stated pace: nothing is asked."""
    asked = plan["annotations"].config["asked"]
    tokens = stated_tokens(plan, asked, rubric_text(plan["rubric"].output), count)
    return Pilot(tokens, tokens_per_second, count, 0, "as stated; tokens are characters / 4")


def stated_tokens(plan: Plan, asked: Mapping[str, Any], prompt: str, count: int) -> Figure:
    """Tokens of one document by its characters, over `count` of the sample; a reply counts with its limit."""
    own = asked.get(asked["scoring"]) or {}
    around = len(own.get("question", prompt)) / CHARACTERS_A_TOKEN
    new = asked["sampling"]["max_tokens"] if asked["scoring"] == "generate" else 1
    rows = documents(plan["annotation_sample"].output, _chosen(plan, count))
    read = [len(excerpt(row["text"], asked["read_characters"], asked["reading"])[0]) for row in rows]
    return t_interval([around + characters / CHARACTERS_A_TOKEN + new for characters in read]).at_least(0.0)


def _chosen(plan: Plan, count: int) -> set[str]:
    index = index_of(plan["annotation_sample"].output)
    drawn, _ = first_round(index, design_of(len(index), plan["annotations"].config))
    first = {one.row["content"] for one in drawn}
    return set([row["content"] for row in index if row["content"] in first][:count])
