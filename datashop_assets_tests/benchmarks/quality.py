"""How well encoders rank topics that a user may ask for: the embedded pool, its gold, three label draws, all defaults.

    python -m datashop_assets_tests.benchmarks.quality
    python -m datashop_assets_tests.benchmarks.quality --kinds static fasttext transformer --topics Geography Arts
    python -m datashop_assets_tests.benchmarks.quality --annotator http://127.0.0.1:8000/v1

The first two ask the embedded annotator which subject a document is for, once for every topic of at least 3% of the
pool, with the settings that a prompt has by default. A draw of labels comes from a third of the documents; no document
is in two. AUC, and precision where half the true share is kept, the true share and twice the true share, are those of
the documents that are held out. The last scores documents by the shipped rubrics with any endpoint.

Answers and finished steps are kept in --root: the same command goes on. Three topics took ten minutes of two cores, of
which the annotator takes most.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import orjson

from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.report import heldout_documents
from datashop_assets.encoder.results import EncoderResult, encoder_report
from datashop_assets.encoder_kinds.trained import load
from datashop_assets.markdown import table
from datashop_assets.prompts.encoder_settings import EncoderSettings
from datashop_assets.runner import DatashopRunner, DatashopRunnerConfig
from datashop_assets.statistics import ranking
from datashop_assets.statistics.intervals import Array, t_interval
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.root import Root
from datashop_assets_tests.benchmarks import rubric_quality
from datashop_assets_tests.benchmarks.documents import embedded_rows

# Gold topics of at least 3% of the labelled documents, with what the question calls them: a word of its options.
TOPICS = {
    "Mathematics": ("mathematics",),
    "Biology and health sciences": ("biology",),
    "Geography": ("geography",),
    "Physical sciences": ("physics",),
    "Society and social sciences": ("politics", "law"),
    "Arts": ("art", "literature"),
    "Technology": ("computers", "software"),
    "History": ("history",),
    "Philosophy and religion": ("religion",),
}
# Of these no option speaks: nothing that the question offers means people, or everyday life.
WITHOUT_A_WORD = ("People", "Everyday life")
GOLD = {"Mathematics": ("Mathematics", "sympy", "mpmath")}  # docstrings of mathematics are mathematics
QUESTION = {
    "question": "Document:\n{example}\n\nWhat school subject does this document belong to?",
    "answer_begins": "This document is useful for studying",
}
SHARES = (0.5, 1.0, 2.0)  # kept, as a multiple of the true share
GOOD_ANNOTATOR = 0.95  # AUC


@dataclass(frozen=True)
class Ranked:
    """One encoder of one topic, learnt from one draw of labels."""

    topic: str
    kind: str
    draw: int
    positives: int  # labels from `labels.positive_from` upward
    share: float  # of gold among the held-out documents
    auc: float
    precision: tuple[float, ...]  # at `SHARES`
    annotator_auc: float
    annotator_precision: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("quality_root"), help="where answers and steps are kept")
    parser.add_argument("--topics", nargs="+", choices=sorted(TOPICS), default=list(TOPICS))
    kinds = get_args(EncoderSettings.model_fields["kind"].annotation)
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=[EncoderSettings().kind])
    parser.add_argument("--draws", type=int, default=3)
    rubric_quality.add_arguments(parser)
    given = parser.parse_args()
    if given.annotator:
        rubric_quality.run(given)
        return
    found = [
        ranked(given.root, topic, kind, draw, given.draws)
        for draw in range(given.draws)
        for topic in given.topics
        for kind in given.kinds
    ]
    for kind in given.kinds:
        print(f"\n{kind}\n")
        print_table([one for one in found if one.kind == kind])


def ranked(root: Path, topic: str, kind: str, draw: int, draws: int) -> Ranked:
    """Runs the graph up to the encoder for one topic, and looks at the held-out documents."""
    slug = f"{topic.split(maxsplit=1)[0].lower()}-{kind}-{draw}"
    runner = DatashopRunner(
        DatashopRunnerConfig(
            experiment_name=slug,
            annotator_model_name="smollm2-135m-instruct",
            pretraining_data_path="embedded",
            annotator_data_path=str(draw_of_documents(root, draw, draws)),
            data_filter_prompt="{example}",
            likelihood={**QUESTION, "targets": list(TOPICS[topic])},
            settings={"encoder": {"kind": kind}, "evaluation": {"gold": list(gold_of(topic))}},
        ),
        root=Root(str(root.resolve())),
    )
    runner.run_eval_cluster_steps()
    planned = runner.plan()
    encoder = planned.output(EncoderResult)
    heldout = list(heldout_documents(planned.output(PretrainingPoolResult)))
    labels = load_gold(runner.root.cache, installed_data(), "embedded")
    known = [document for document in heldout if document.id in labels]
    gold = np.array([labels[document.id] in gold_of(topic) for document in known], dtype=np.float64)
    margins = load(encoder).margins([document.text for document in known])
    annotator = encoder_report(encoder).annotator
    assert annotator is not None
    assert annotator.all.figures is not None
    return Ranked(
        topic=topic,
        kind=kind,
        draw=draw,
        positives=encoder.result.positives,
        share=float(gold.mean()),
        auc=float(ranking.auc(margins, gold, np.ones((1, len(gold))))[0]),
        precision=tuple(precision_among(margins, gold, round(share * gold.sum())) for share in SHARES),
        annotator_auc=annotator.all.figures.auc.value,
        annotator_precision=annotator.all.figures.precision_at_share.value,
    )


def gold_of(topic: str) -> tuple[str, ...]:
    return GOLD.get(topic, (topic,))


def draw_of_documents(root: Path, draw: int, draws: int) -> Path:
    """A file with every `draws`-th document of the embedded pool, by hash: what one draw of labels comes from."""
    path = root / f"documents-{draw}-of-{draws}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (row for row in embedded_rows(root / "cache") if keyed_hash("draw of labels", row["id"]) % draws == draw)
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def precision_among(margins: Array, gold: Array, kept: int) -> float:
    """The share of gold among the `kept` highest margins; what ties at the cut counts in proportion."""
    cut = np.sort(margins)[-kept]
    above, tied = margins > cut, margins == cut
    return float((gold[above].sum() + (kept - above.sum()) * gold[tied].mean()) / kept)


def print_table(found: Sequence[Ranked]) -> None:
    """A row a topic: means over the draws with their intervals; and means over what the annotator itself ranks well."""
    by_topic = {topic: [one for one in found if one.topic == topic] for topic in {one.topic: None for one in found}}
    head = ("topic", "true share", "labels positive", "annotator AUC", "annotator precision", "AUC")
    precisions = (f"precision, {share:g} x the share kept" for share in SHARES)
    print(table((*head, *precisions), [row(topic, draws) for topic, draws in by_topic.items()]))
    good = [draws for draws in by_topic.values() if mean(one.annotator_auc for one in draws) >= GOOD_ANNOTATOR]
    if good:
        each = [mean(one.auc for one in draws) for draws in good]
        precision = mean(mean(one.precision[1] for one in draws) for draws in good)
        print(
            f"\nOf the {len(good)} topics that the annotator ranks at {GOOD_ANNOTATOR} or better: mean AUC "
            f"{mean(each):.3f}, the least {min(each):.3f}; mean precision at the true share {precision:.3f}. "
            f"Left out for want of a word in the question: {', '.join(WITHOUT_A_WORD)}."
        )


def row(topic: str, draws: Sequence[Ranked]) -> tuple[str, ...]:
    positives = ", ".join(str(one.positives) for one in draws)
    return (
        topic,
        f"{draws[0].share:.3f}",
        positives,
        over_draws(one.annotator_auc for one in draws),
        over_draws(one.annotator_precision for one in draws),
        over_draws(one.auc for one in draws),
        *(over_draws(one.precision[place] for one in draws) for place in range(len(SHARES))),
    )


def over_draws(values: Iterable[float]) -> str:
    """The mean, with Student's t interval over draws where there are two or more."""
    return str(t_interval(list(values)))


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


if __name__ == "__main__":
    main()
