"""Builds `data_card`: the page, the browser of documents, and the same as JSON and Markdown.

`card.json` and `documents.html` follow from the inputs alone. What holds times and costs (`costs.json`, the page, the
Markdown) is kept out of the content digest.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import polars as pl
from markupsafe import Markup

from datashop_assets.annotations.results import AnnotatorReportResult
from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.data_card import charts, encoder_charts, page
from datashop_assets.data_card.documents import annotated, browsed, unseen_scores
from datashop_assets.data_card.facts import facts
from datashop_assets.data_card.hub import head
from datashop_assets.data_card.samples import samples
from datashop_assets.data_card.scan import Scan, scan
from datashop_assets.data_card.spending import spending
from datashop_assets.documents.pool import pool_shards
from datashop_assets.encoder.results import EncoderResult, ceiling

PAGE = "card.html"
BROWSER = "documents.html"
MARKDOWN = "card.md"
FACTS = "card.json"
COSTS = "costs.json"
OWN_WORDS_SHOWN = (
    "annotations",
    "annotator_report",
    "encoder",
    "keep_certificate",
    "filtered_pool",
    "decontamination",
    "evaluation",
)


def build(run: OpenRun) -> Metrics:
    """Writes the five files. Metrics: where the page is, and how much it holds."""
    shards = pool_shards(run.inputs["pretraining_pool"])
    found, answers = scan(run, shards), annotated(run)
    documents = browsed(run, shards, answers)
    known = facts(run, found, samples(run, found, answers), documents)
    spent = spending(run)
    html = page.card(known, spent, drawn(run, found, known), own_words(run))
    run.output.put_bytes(FACTS, orjson.dumps(known, option=orjson.OPT_INDENT_2))
    run.output.put_bytes(COSTS, orjson.dumps(spent, option=orjson.OPT_INDENT_2), identity=False)
    run.output.put_bytes(MARKDOWN, page.hub(known, head(known)).encode(), identity=False)
    run.output.put_bytes(PAGE, html.encode(), identity=False)
    run.output.put_bytes(BROWSER, page.browser(known, documents.payload()).encode())
    compared = known["stages"]["evaluation"]["metrics"]
    return {
        "path": f"{run.output.folder.uri}/{PAGE}",
        "verdict": compared["verdict"],
        "matched_verdict": known["matched"]["verdict"] if known["matched"] else "not asked",
        "kept_documents": known["stages"]["filtered_pool"]["metrics"]["kept_documents"],
        "browsed_documents": len(documents.rows),
        "documents": documents.documents,
        "samples": sum(len(rows) for rows in known["samples"].values()),
    }


def drawn(run: OpenRun, found: Scan, known: Mapping[str, Any]) -> dict[str, Markup]:
    """Name -> chart. A chart whose figures are not there is left out."""
    measured = {name: stage["metrics"] for name, stage in known["stages"].items()}
    cut, unseen = measured["filtered_pool"]["cut_score"], weighted(run)
    made = {
        "annotated": charts.annotated(measured["annotations"]["score_histogram"]),
        "scored": charts.scored(found.cells, cut),
        "yields": charts.yields(known["yields"], cut),
        "sources": charts.sources(measured["filtered_pool"]["by_source"]),
        "comparison": charts.comparison(known["comparison"]),
    }
    bins = known["encoder"].get("labels", {}).get("all", {}).get("reliability")
    if bins and len(unseen):
        made |= {
            "reliability": encoder_charts.reliability(bins),
            "precision_recall": encoder_charts.precision_recall(unseen),
            "agreement": encoder_charts.agreement(unseen),
        }
    return made


def weighted(run: OpenRun) -> pl.DataFrame:
    """Scores of unseen labels with each document's weight in the training set."""
    labels = run.inputs["training_set"].table("training_set.parquet").select("id", "weight").unique("id")
    return unseen_scores(run).join(labels, on="id", how="left", maintain_order="left")


def own_words(run: OpenRun) -> dict[str, Mapping[str, str]]:
    """What the rooms show of these stages in the UI: a figure that a room adds is on the card without a change here."""
    said = {name: run.descriptions(run.inputs[name]) for name in OWN_WORDS_SHOWN if name in run.inputs}
    beside = ceiling(run.input(EncoderResult), run.input(AnnotatorReportResult)).text()
    return {**said, "encoder": {"beside the annotator's agreement with itself": beside, **said["encoder"]}}
