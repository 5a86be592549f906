"""What the sections of a prompt file share: a strict, frozen base, and the types of their fields.

Addresses of documents and models are stored with every result, so that a secret must not be in one. What an error
repeats of a prompt file is cleared of secrets too: errors end up in logs and in the UI.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_NAMES = r"(?:key|token|secret|passw|credential|signature|\bsig\b|authorization)"
_NAME = re.compile(_NAMES, re.IGNORECASE)
# `github://org:repo@ref` and `git://path:ref@` are names of places; `//me@host` is a user, but a token over HTTP
# Each takes time that grows with the text, whatever the text is: no two parts in a row can match the same characters,
# and what must follow a name is looked for first.
_USER = re.compile(r"(?<!hub)(?<!git)://[^/@\s'\":]*:[^/@\s'\"]*@|https?://[^/@\s'\"]+@", re.IGNORECASE)
_QUERY = re.compile(rf"([?&](?=[^=&#\s?]*=)[^=&#\s?]*{_NAMES}[^=&#\s?]*=)[^&#\s'\"]+", re.IGNORECASE)
_QUOTED = re.compile(rf"(['\"](?=[^'\"]*['\"]: )[^'\"]*{_NAMES}[^'\"]*['\"]: )(['\"]).*?\2", re.IGNORECASE)
HIDDEN = "[hidden]"


class Section(BaseModel):
    """A section of a prompt file: no unknown field, and no value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_max_length=100_000)


class SectionConfig(BaseModel):
    """What a step's result depends on of a section, resolved. Its JSON is part of the step's plan digest.

    Read it back with `model_validate_json`: tuples are lists in JSON, and sections are strict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def without_secrets(address: str) -> str:
    """`address`, if it may be stored with results."""
    if _USER.search(address) or _QUERY.search(address):
        raise ValueError(
            "holds a user, password or key, and addresses are stored with results; leave it out, and give it to the "
            "filesystem by its own variables or configuration files (see docs/pools.md)"
        )
    return address


def hide_secrets(shown: str) -> str:
    """`shown` without the users in addresses, and without the values of fields that are named like a secret."""
    shown = _USER.sub(f"://{HIDDEN}@", shown)
    shown = _QUERY.sub(rf"\1{HIDDEN}", shown)
    return _QUOTED.sub(rf"\1'{HIDDEN}'", shown)


def names_a_secret(field: str) -> bool:
    """Whether a field of this name is likely to hold a secret."""
    return bool(_NAME.search(field))


Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Characters = Annotated[int, Field(ge=50, le=100_000)]  # that are read of a document
Address = Annotated[str, AfterValidator(without_secrets)]
Scoring = Literal["likelihood", "generate", "score_token"]
