"""What of a source is not among the documents, in words: for the terminal, `datashop status`, the UI and the card.

Files that are passed over, files that cannot be read, rows that are no documents. Each reason has the fix beside it.
"""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from datashop_assets.documents.formats import PassedOverBecause
from datashop_assets.documents.results import AnnotationSampleResult, PassedOver, RejectExample, SourceResult
from datashop_assets.documents.sources import EXAMPLES, Listing, in_words
from datashop_assets.printable import printable_line
from datashop_assets.protocols.documents import UNREADABLE, RejectReason

# What a person may correct, by reason; of the others a row here and there is no fault of the settings.
FIXES: Mapping[RejectReason, str] = MappingProxyType(
    {
        UNREADABLE: "write or fetch the file again",
        "line too long": "a row is at most 64 MB; split it",
        "invalid utf-8": "write the files in UTF-8",
        "broken json": "write one JSON object a line, or a JSON array",
        "not an object": "write an object with fields for every document",
        "repeated key": "write each key of an object once",
        "nested too deep": "leave the nested field out",
        "unreadable value": "leave the field out, or write it as text",
        "no text": "correct text_field",
        "text is not a string": "correct text_field",
        "id is not a string or number": "correct id_field",
        "source is not a string or number": "correct source_field",
    }
)
NO_FAULT: frozenset[RejectReason] = frozenset(("blank text", "empty line"))

LOG = logging.getLogger("datashop")  # what it says is in the terminal and in the run's events


def passed_over(listing: Listing, empty: Sequence[str]) -> dict[PassedOverBecause, PassedOver]:
    """`empty`: the names of files that were read and have no row."""
    names: dict[PassedOverBecause, Sequence[str]] = dict(listing.passed_over)
    if empty:
        names["empty"] = sorted(empty)
    return {reason: PassedOver(files=len(ones), examples=list(ones[:EXAMPLES])) for reason, ones in names.items()}


def say_left_out(result: SourceResult) -> None:
    _say(result, left_out(result))


def say_drawn(result: AnnotationSampleResult) -> None:
    """Of a sample whose files are the pool's, which has said what is left out of them."""
    _say(result, _drawn(result))


def _say(result: SourceResult, lines: Sequence[str]) -> None:
    for line in lines:
        LOG.warning("%s: %s", result.step, line)


def left_out(result: SourceResult) -> list[str]:
    """A line each for files passed over, for every file that could not be read, and for every reason for a reject."""
    lines = []
    if result.passed_over:
        names = {reason: one.examples for reason, one in result.passed_over.items()}
        counts: dict[PassedOverBecause, int] = {reason: one.files for reason, one in result.passed_over.items()}
        lines.append(f"files passed over: {in_words(names, counts)}")
    if result.unreadable:
        size = sum(one.bytes for one in result.unreadable)
        lines.append(f"{_count(len(result.unreadable), 'file')} ({size:,} bytes) skipped, unreadable as a whole")
        lines += [f"  {one.name} ({one.bytes:,} bytes): {one.cause}" for one in result.unreadable[:10]]
    rejects: dict[RejectReason, int] = dict(result.rejects)
    rejects.pop(UNREADABLE, None)
    lines += explained(rejects, result.reject_examples)
    if isinstance(result, AnnotationSampleResult):
        lines += _drawn(result)
    return [printable_line(line) for line in lines]


def _drawn(result: AnnotationSampleResult) -> list[str]:
    """A line where fewer documents were drawn than asked for."""
    if result.documents == result.requested:
        return []
    return [
        f"{result.documents:,} documents drawn, not {result.requested:,}: of {result.available:,} that are not "
        f"held out, {result.near_heldout:,} are near one that is, and {result.repeated or 0:,} repeat a text"
    ]


def explained(rejects: Mapping[RejectReason, int], examples: Sequence[RejectExample]) -> list[str]:
    """`3 rows rejected: no text; correct text_field. For example a row 7: ...`, the most frequent first."""
    lines = []
    for reason, count in sorted(rejects.items(), key=lambda one: -one[1]):
        fix = f"; {FIXES[reason]}" if reason in FIXES else ""
        one = next((one for one in examples if one.reason == reason), None)
        example = f". For example {one.place}{f': {one.detail}' if one.detail else ''}" if one else ""
        lines.append(f"{_count(count, 'row')} rejected: {reason}{fix}{example}")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
