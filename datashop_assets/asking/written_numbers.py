"""The forms in which a score is written, and those that are no one score: see the grammar in `verdicts`.

Texts are expected as `plain` makes them: full-width digits, signs and brackets are the ordinary ones.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from datashop_assets.asking.forms import any_of
from datashop_assets.asking.number_forms import (
    AFTER,
    BOUND,
    COUNTED,
    DASH,
    DIGITS,
    DOUBT,
    FRACTION,
    HIGHEST_SCORE,
    ITEMS,
    LIST,
    NAME,
    NAMES,
    NOTE,
    OPENING,
    OTHER_UNIT,
    PERCENT,
    SCALE,
    SEVERAL,
    WITHOUT_RESULT,
)

_NUMBER = re.compile(rf"([+-]?{DIGITS}|{NAME})", re.IGNORECASE)
_SCALE = any_of(*SCALE)
_NO_WHOLE = ((any_of(*PERCENT), "is a percentage"), (any_of(*FRACTION), "is a fraction, not a whole number"))
_NO_ONE = (
    (any_of(*WITHOUT_RESULT), "is a sum without its result"),
    (any_of(*OTHER_UNIT), "is in another unit"),
    (any_of(*SEVERAL), "is more than one number"),
    (any_of(*BOUND), "is a bound or a condition, not a score"),
    (DOUBT, "is doubted or rejected"),
)
_OF_A_LIST = ((any_of(*COUNTED), "counts something else"), (any_of(*LIST), "begins a list"))
_ON_A_LINE = ((any_of(*ITEMS), "is for one part of the text"), *_OF_A_LIST)
_VALUE = f"{DIGITS}|{NAME}"
_LINE_BEGINS = re.compile(r"\n[^\w\n]{0,40}$")
_SUM_BESIDE = re.compile(
    rf"{AFTER}\s?[(\[]\s?(?:=\s?)?(?P<sum>(?:{_VALUE}){NOTE}(?:\+|plus\b)[^()\[\]\n]{{1,120}})[)\]]", re.I
)
_SIGN = re.compile(
    rf"{AFTER}{NOTE}(\+|-|\u2013|plus\b|minus\b|less\b|x\b|\u00d7|\u00f7|/|times\b)[ \t]{{0,4}}+", re.IGNORECASE
)
_EQUALS = re.compile(rf"{AFTER}{NOTE}=[ \t]{{0,4}}+")
_NAMED_ALONE = re.compile(rf"{AFTER}(?:$|[.,;:!?\n({{\[\u2014\u2013-]|because\b|since\b|as\b)", re.IGNORECASE)
_OPENING = re.compile(OPENING)
_WHOLE_SCALE = re.compile(rf"[01]\s?(?:{DASH}|to)\s?{HIGHEST_SCORE}(?![\w%]|[.,/]\d)", re.IGNORECASE)
MOST_TERMS = 24
_TAG = re.compile(
    r"<\|(?:begin|end)_of_box\|>|</?(?:b|strong|i|em|u|span|p|div|font|mark|h[1-6]|br|li|td|th|tr)\b[^<>\n]{0,80}+>",
    re.IGNORECASE,
)
_BLOCK_TAG = re.compile(r"</?(?:p|div|h[1-6]|br|li|tr)\b[^<>\n]{0,80}+>", re.IGNORECASE)
_ORDINARY = str.maketrans({"\u2212": "-", "\u2236": ":", "\u2215": "/"})


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as it is written, up to the character `ends`: its value, or why it is no one score."""

    words: str
    ends: int
    value: float | None
    reason: str = ""


def plain(text: str) -> str:
    """`text` with full-width and circled digits, wide signs and brackets as ordinary ones, no HTML tags of layout,
    and nothing invisible."""
    apart = re.sub(r"[\u00bc-\u00be\u2150-\u215f]", r" \g<0>", text)  # 3½ is 3 and a half, not 31 halves
    apart = _TAG.sub(" ", _BLOCK_TAG.sub("\n", apart))
    visible = re.sub(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", "", unicodedata.normalize("NFKC", apart))
    return visible.translate(_ORDINARY)


def number_at(text: str, start: int, scale: float = HIGHEST_SCORE) -> WrittenNumber | None:
    """The number that begins at `start`, read with what follows it; None where none does.

    `scale` is out of how many it is where that was said before. The whole scale ("0-5") is how a rubric asks for a
    number, and is none itself.
    """
    first = _NUMBER.match(text, start)
    if first is None or _WHOLE_SCALE.match(text, start):
        return None
    last = _sum_at(text, first) or first
    value, end = value_of(last[1]), last.end()
    refusal = _refusal(text, end, _NO_WHOLE)
    if last is not first and not _adds_up(text[first.start() : end], value):
        refusal = end, "does not add up"
    if refusal is None:
        if found := _SCALE.match(text, end):
            scale, end = value_of(next(filter(None, found.groups()))), found.end()
        refusal = _refusal(text, end, _NO_ONE)
    if refusal is None and last[1].lower() in NAMES and end == last.end() and not _NAMED_ALONE.match(text, end):
        return None  # "one of the best"
    if refusal is None and end == last.end() and last is first:
        on_a_line = _LINE_BEGINS.search(text, max(0, start - 60), start)
        refusal = _refusal(text, end, _ON_A_LINE if on_a_line else _OF_A_LIST)
    if refusal is None and (beside := _SUM_BESIDE.match(text, end)):
        if not _adds_up(beside["sum"], value):
            refusal = beside.end(), "is not what the sum beside it gives"
        end = beside.end()
    if refusal is not None:
        end, why = refusal
        words = " ".join(text[start:end].split())
        return WrittenNumber(words, end, None, f"{words!r} {why}")
    words = " ".join(text[start:end].split())
    if scale != HIGHEST_SCORE:
        return WrittenNumber(words, end, None, f"{words!r} is out of {scale:g}, not of {HIGHEST_SCORE}")
    if not 0 <= value <= HIGHEST_SCORE or value != int(value):
        return WrittenNumber(words, end, None, f"{value:g} is not a whole number from 0 to {HIGHEST_SCORE}")
    return WrittenNumber(words, end, value)


def _refusal(text: str, end: int, forms: Sequence[tuple[re.Pattern[str], str]]) -> tuple[int, str] | None:
    """Where the first of `forms` that follows the number ends, and what it says; None where none does."""
    return next(((found.end(), why) for form, why in forms if (found := form.match(text, end))), None)


def value_of(number: str) -> float:
    """Of a number in digits or as a name up to ten."""
    name = number.lower()
    if name in NAMES:
        return float(NAMES.index(name))
    return float(number.replace(",", "" if re.fullmatch(r"[+-]?\d{1,3},\d{3}", number) else "."))


def _sum_at(text: str, first: re.Match[str]) -> re.Match[str] | None:
    """The result of the sum that begins with `first`; None where it is no sum, or one without a result."""
    number: re.Match[str] | None = first
    for _ in range(MOST_TERMS):
        if number is None:
            return None
        if equals := _EQUALS.match(text, number.end()):
            return _NUMBER.match(text, _skip(text, equals.end()))
        sign = _SIGN.match(text, number.end())
        number = _NUMBER.match(text, _skip(text, sign.end())) if sign else None
    return None


def _skip(text: str, start: int) -> int:
    found = _OPENING.match(text, start)
    return found.end() if found else start


def _adds_up(text: str, result: float) -> bool:
    """Whether the sum from its first number to its result is right; products come before sums."""
    total, term = Fraction(0), Fraction(0)
    number = _NUMBER.match(text)
    operator = "+"
    while number is not None:
        value = Fraction(value_of(number[1]))
        if operator in ("x", "\u00d7", "times"):
            term *= value
        elif operator in ("/", "\u00f7"):
            if not value:
                return False
            term /= value
        else:
            total, term = total + term, -value if operator in ("-", "\u2013", "minus", "less") else value
        sign = None if _EQUALS.match(text, number.end()) else _SIGN.match(text, number.end())
        operator = sign[1].lower() if sign else ""
        number = _NUMBER.match(text, _skip(text, sign.end())) if sign else None
    return total + term == Fraction(result)
