"""Documents of one source file: every row becomes a `Document`, or a `Reject` with its reason and place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.sources.files import SourceFile
from datashop_assets.sources.rows import Broken, Wanted, read_rows

UNKNOWN_SOURCE = "unknown"
LONGEST_DETAIL = 300  # characters; a detail may quote the row


@dataclass(frozen=True, slots=True)
class Fields:
    """Names of the fields that a document is made of. A dot leads into nested objects: `metadata.language`."""

    text: str = "text"
    id: str = "id"
    source: str = "source"


def fields_of(data: Mapping[str, Any]) -> Fields:
    return Fields(data["text_field"], data["id_field"], data["source_field"])


def read_documents(file: SourceFile, fields: Fields) -> Iterator[Document | Reject]:
    """One item for every row of the file, in order. A document without an id is called `<shard>:<row>`."""
    return (found for found in read_wanted(file, fields, None) if not isinstance(found, int))


def read_wanted(file: SourceFile, fields: Fields, wanted: Wanted | None) -> Iterator[Document | Reject | int]:
    """As `read_documents`, with the number of rows instead of those that are not wanted and follow each other."""
    position = 0
    for row in read_rows(file, wanted=wanted):
        if isinstance(row, int):
            yield row
            position += row
            continue
        found = row if isinstance(row, Broken) else _document(row, fields, f"{file.shard}:{position}")
        if isinstance(found, Broken):
            yield Reject(found.reason, f"{file.name} row {position}", found.detail[:LONGEST_DETAIL])
        else:
            yield found
        position += 1


def _document(row: Mapping[str, Any], fields: Fields, name: str) -> Document | Broken:
    text, identity, source = _value(row, fields.text), _value(row, fields.id), _value(row, fields.source)
    if text is None:
        return Broken("no text", f"no field {fields.text!r} among {sorted(row)[:10]}")
    if not isinstance(text, str):
        return Broken("text is not a string", f"{fields.text!r} is a {type(text).__name__}")
    if not text or text.isspace():
        return Broken("blank text")
    if identity is not None and (isinstance(identity, bool) or not isinstance(identity, str | int)):
        return Broken("id is not a string", f"{fields.id!r} is a {type(identity).__name__}")
    if source is not None and not isinstance(source, str):
        return Broken("source is not a string", f"{fields.source!r} is a {type(source).__name__}")
    return Document(name if identity in (None, "") else str(identity), text, source or UNKNOWN_SOURCE, row)


def _value(row: Mapping[str, Any], field: str) -> Any:
    """The value of a field, or of a nested one where no field has the whole name; None where there is none."""
    if field in row:
        return row[field]
    value: Any = row
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
