"""How an endpoint is asked where it refuses a parameter that others take: under another name, or without it.

Hosted models refuse `max_tokens` (OpenAI's reasoning models want `max_completion_tokens`), gateways `seed`, reasoning
models any `temperature` but their own. A server says so with status 400 or 422 and the parameter's name. The request is
then sent again otherwise, and what a successful one was like is kept for all that follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from resources.annotator.endpoints.errors import RejectedError

RENAMED = {"max_tokens": "max_completion_tokens"}
OPTIONAL = ("top_p", "seed", "temperature")  # where several are named, the one that matters least goes first


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which parameters an endpoint gets under another name, and which not at all."""

    renamed: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()

    def body(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """`payload` as this endpoint takes it."""
        names = {name: RENAMED[name] for name in self.renamed}
        return {names.get(name, name): value for name, value in payload.items() if name not in self.left_out}

    def after(self, error: RejectedError, payload: Mapping[str, Any]) -> "Dialect | None":
        """How to ask instead; None where the error names no parameter of `payload` that can be changed."""
        sent = self.body(payload)
        for name in OPTIONAL:
            if name in sent and error.names(name):
                return replace(self, left_out=self.left_out | {name})
        for name, other in RENAMED.items():
            if name in sent and (error.names(name) or error.names(other)):
                return replace(self, renamed=self.renamed | {name})
        return None

    def __str__(self) -> str:
        """`without seed, max_completion_tokens in place of max_tokens`; empty where nothing is changed."""
        without = [f"without {name}" for name in sorted(self.left_out)]
        return ", ".join([*without, *(f"{RENAMED[name]} in place of {name}" for name in sorted(self.renamed))])
