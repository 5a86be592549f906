"""Secrets that people put where they do not belong: addresses of documents and models are stored with every result."""

import re
from typing import Annotated

from pydantic import AfterValidator

NAMES = r"(?:key|token|secret|passw|credential|signature|\bsig\b|authorization)"
# `github://org:repo@ref` and `git://path:ref@` are names of places; `//me@host` is a user, but for a token over HTTP
USER = re.compile(r"(?<!hub)(?<!git)://[^/@\s'\"]*:[^/@\s'\"]*@|https?://[^/@\s'\"]+@", re.IGNORECASE)
QUERY = re.compile(rf"([?&][^=&#\s]*{NAMES}[^=&#\s]*=)[^&#\s'\"]+", re.IGNORECASE)
QUOTED = re.compile(rf"(['\"][^'\"]*{NAMES}[^'\"]*['\"]: )(['\"]).*?\2", re.IGNORECASE)
NAME = re.compile(NAMES, re.IGNORECASE)
HIDDEN = "[hidden]"


def hidden(shown: str) -> str:
    """What an error repeats of a value, without users of addresses and what stands behind the name of a secret."""
    shown = USER.sub(f"://{HIDDEN}@", shown)
    shown = QUERY.sub(rf"\1{HIDDEN}", shown)
    return QUOTED.sub(rf"\1'{HIDDEN}'", shown)


def names_a_secret(field: str) -> bool:
    return bool(NAME.search(field))


def without_secrets(address: str) -> str:
    """`address`, if it may be stored with results."""
    if USER.search(address) or QUERY.search(address):
        raise ValueError(
            "holds a user, password or key, and addresses are stored with results; leave it out, and give it to the "
            "filesystem by its own variables or configuration files (see docs/pools.md)"
        )
    return address


Address = Annotated[str, AfterValidator(without_secrets)]
