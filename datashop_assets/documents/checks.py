"""Checks of pool and sample that come before anything is paid for: can what a prompt names be read, are ids unique?

Documents of rubric, evaluation and benchmarks are read by later steps. A field's name that none of them has, or a file
that cannot be read, would be found after the annotator has been asked. An id that repeats stands for several documents
in whatever a user joins by it.
"""

from itertools import islice
from typing import Any

from datashop_assets.core.step import Check, CheckContext, CheckResult
from datashop_assets.datasets import EMBEDDED
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.printable import printable_line
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.settings import Data

LOOKED_AT = 100  # rows of each; a document among them will do
NAMED = 10  # sources, those with the most repeated ids


def named_documents_readable(context: CheckContext[PretrainingPoolResult]) -> CheckResult:
    wrong = [f"{name}: {problem}" for name, data in _named(context.prompt).items() if (problem := _problem(data))]
    return CheckResult(
        passed=not wrong,
        blocks=True,
        severity="error",
        description="; ".join(wrong) or "every set of documents that the prompt names begins with documents",
    )


def _named(prompt: Prompt) -> dict[str, Data]:
    """The sets of documents that a prompt names beside pool and sample, by their place in the file."""
    sets: dict[str, Data | None] = {f"targets.{name}": one for name, one in (prompt.targets or {}).items()}
    sets["evaluation.targets"] = prompt.evaluation.targets
    sets |= {f"evaluation.benchmarks[{number}]": one for number, one in enumerate(prompt.evaluation.benchmarks)}
    return {name: one for name, one in sets.items() if one is not None and one.uri not in ("", EMBEDDED)}


def _problem(data: Data) -> str:
    """What is wrong with the first rows; empty where one of them is a document."""
    from datashop_assets.documents.reading import read_documents
    from datashop_assets.documents.sources import find_source_files
    from datashop_assets.protocols.documents import Document

    source = DocumentSource.of(data)
    rows = (found for file in find_source_files(source.uri) for found in read_documents(file, source.fields))
    rejected = ""
    for found in islice(rows, LOOKED_AT):
        if isinstance(found, Document):
            return ""
        rejected = rejected or f"{found.place}: {found.reason}, {found.detail}"
    return (
        f"none of the first rows of {data.uri!r} is a document ({rejected or 'it has none'}); correct uri or text_field"
    )


def _settings(prompt: Prompt) -> Any:
    return {name: DocumentSource.of(one).model_dump(mode="json") for name, one in _named(prompt).items()}


def unique_ids(context: CheckContext[AnnotationSampleResult]) -> CheckResult:
    """A warning: the sample is right all the same, because it tells such documents apart."""
    sample = context.output.result
    if not sample.same_id:
        return CheckResult(passed=True, description=f"{sample.documents:,} documents drawn, each with an id of its own")
    most = sorted(sample.same_id_by_source.items(), key=lambda one: (-one[1], one[0]))
    sources = ", ".join(f"{printable_line(source)} {count:,}" for source, count in most[:NAMED])
    more = f" and {len(most) - NAMED:,} more sources" if len(most) > NAMED else ""
    return CheckResult(
        passed=False,
        description=(
            f"{sample.same_id:,} of {sample.documents:,} documents drawn have an id that another one has, such as "
            f"{printable_line(sample.same_id_examples[0])!r} (by source: {sources}{more}). They are called by id and "
            "text; name an id_field that does not repeat"
        ),
        figures={"repeated": sample.same_id, "by_source": dict(most)},
    )


SAMPLE_CHECKS = (
    Check(
        "unique_ids",
        "No two documents of the sample have the same id. If they do, name an id_field that does not repeat.",
        unique_ids,
    ),
)
POOL_CHECKS = (
    Check(
        "named_documents_readable",
        "The documents that the prompt names for rubric, evaluation and benchmarks can be read. If not, correct them.",
        named_documents_readable,
        blocking=True,
        settings=_settings,
    ),
)
