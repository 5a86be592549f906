"""Forms of text as tables that a person can read: an example of each, and the pattern that reads it.

Tests hold that every pattern reads its example, from where it begins to its end.
"""

import re
from typing import NamedTuple


class Form(NamedTuple):
    """One form. `example` is what `pattern` reads of it; where more must stand behind, that is `then`."""

    example: str
    pattern: str
    then: str = ""


def any_of(*forms: Form) -> re.Pattern[str]:
    """Reads the first of these forms that a text has, in any case."""
    return re.compile("|".join(f"(?:{form.pattern})" for form in forms), re.IGNORECASE | re.MULTILINE)
