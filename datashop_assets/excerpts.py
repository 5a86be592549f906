"""The part of a document that is read, by the annotator and by the encoder: one rule for both.

A cut is marked in the text, so that the end of an excerpt is not taken for the end of the document.
"""

from collections.abc import Callable
from typing import Literal

Part = Literal["head", "windows"]
MARK = " […] "


def excerpt(text: str, characters: int, part: Part = "head") -> tuple[str, bool]:
    """At most `characters` characters of `text` beside the marks, and whether that is less than all of it.

    `head` is the beginning; `windows` are beginning, middle and end, a third each.
    """
    if len(text) <= characters:
        return text, False
    third = characters // 3
    if part == "head" or not third:
        return text[:characters] + MARK.rstrip(), True
    middle = (len(text) - third) // 2
    return MARK.join((text[: characters - 2 * third], text[middle : middle + third], text[-third:])), True


def part_read(text: str, characters: int | None, part: Part) -> str:
    """The text of `excerpt`; all of it where `characters` is None."""
    return text if characters is None else excerpt(text, characters, part)[0]


def fitting(text: str, characters: int, part: Part, fits: Callable[[str], bool]) -> tuple[str, bool]:
    """The longest excerpt of at most `characters` that `fits`, found by halving; the empty text if none does.

    `fits` says whether a model takes the text, counted in its own tokens.
    """
    whole = excerpt(text, characters, part)
    if fits(whole[0]):
        return whole
    least, most = 0, min(characters, len(text))
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(excerpt(text, middle, part)[0]) else (least, middle)
    return excerpt(text, least, part) if least else ("", True)
