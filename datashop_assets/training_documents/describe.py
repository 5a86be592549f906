"""What the UI shows of evaluation documents that training may share no text with, and of what models read."""

from collections.abc import Mapping

import polars as pl

from datashop_assets.core.step import StepOutput
from datashop_assets.markdown import escaped, table
from datashop_assets.training_documents.decontamination import DOCUMENTS
from datashop_assets.training_documents.results import DecontaminationResult, DrawnDocuments, PoolTokensResult

SHOWN = 8  # overlaps


def pool_tokens(output: StepOutput[PoolTokensResult]) -> Mapping[str, str]:
    documents = output.result.documents
    said = f"A token is {output.result.bytes_per_token:.2f} bytes long, as measured on random documents of the pool."
    return {
        "what models read of the pool": f"{said}\n\n{drawn_table(documents)}",
        "some overlaps": _overlaps(output.table()),
    }


def decontamination(output: StepOutput[DecontaminationResult]) -> Mapping[str, str]:
    result = output.result
    words = (
        f"A training document that shares a run of {result.ngram} words, or all words of a shorter text, with one of "
        f"{result.heldout_documents + result.named_documents:,} evaluation documents is trained on by no model."
    )
    if result.named_too_short:
        words += f" {result.named_too_short:,} of the prompt's own evaluation documents are too short to look for."
    sets = output.table(DOCUMENTS).group_by("set", maintain_order=True).len()
    lines = [(escaped(name), f"{count:,}") for name, count in sets.iter_rows()]
    return {"evaluation documents": f"{words}\n\n{table(('set', 'documents'), lines)}"}


def drawn_table(documents: DrawnDocuments) -> str:
    lines = [("may be read", f"{documents.documents:,}", f"{documents.tokens:,}")]
    lines += [(reason, f"{count:,}", "") for reason, count in documents.left_out.items()]
    lines += [
        (f"left out of source {escaped(source)}", f"{count:,}", "")
        for source, count in documents.left_out_by_source.items()
    ]
    return table(("", "documents", "tokens"), lines)


def _overlaps(documents: pl.DataFrame) -> str:
    found = documents.filter(pl.col("shared").is_not_null()).sort("shared", descending=True).head(SHOWN)
    lines = [
        (escaped(row["id"]), row["shared"], escaped(row["evaluation_id"]), escaped(row["example"]))
        for row in found.to_dicts()
    ]
    return table(("document", "runs shared", "evaluation document", "the first one"), lines)
