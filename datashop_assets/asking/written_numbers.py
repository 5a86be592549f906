"""The forms in which a score is written, and those that are no one score: see the grammar in `verdicts`.

Texts are expected as `plain` makes them: full-width digits, signs and brackets are the ordinary ones.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from datashop_assets.asking.forms import Form, any_of

HIGHEST_SCORE = 5
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

# What models put around a number. All repetitions are bounded and possessive, so that no reply takes long to read.
OPENING = (
    r"(?:[\s*_`\"'\u201c\u2018\u300c\u3010$({\[=:|]|\\[(\[]|\\(?:boxed|text|textbf|mathbf|mathrm|bf)\b\s*+|<(?=[^<>\n]{1,16}>))"
    r"{0,24}+"
)
_CLOSING = r"(?:[ \t*_`\"'\u201d\u2019\u300d\u3011)\]}$>]|\\[)\]]){0,16}+"
_UNIT = r"(?:[ \t]{0,4}+(?:points?|pts?|stars?|marks?)\b)?+"
_DIGITS = r"\d{1,9}+(?:[.,]\d{1,9}+)?+(?![^\W_])(?![.,'\u2019\u00b7\u066b\u066c]\d)"
_NAME = rf"(?:{'|'.join(NAMES)})(?![\w-])"
_NUMBER = re.compile(rf"([+-]?{_DIGITS}|{_NAME})", re.IGNORECASE)
_DASH = r"[\u2010-\u2015-]"
_AFTER = rf"{_CLOSING}{_UNIT}{_CLOSING}"

_FOR = r"for\s+(?:(?!(?:plus|minus|less|times|x)\b)[^\W\d]+[ \t]{0,4}){1,5}+"
_NOTE = rf"(?:[ \t]*(?:\([^()\n]{{0,60}}\)|{_FOR}))?+[ \t]{{0,4}}+"

# What may stand behind a number, each by an example of it. A number that one of these follows is no one score.
_FROM = rf"(?:\d{{1,4}}[\s-]?(?:{_DASH}|to|\.\.\.?)[\s-]?)?"  # of a scale
_JOINING = (
    rf"(?:{_DASH}+>?|=>|\u2192|~|/|\||&|,|;|:|\.\.\.?|to|or|and|through|thru|until|vs\.?|maybe|perhaps|possibly|"
    r"probably|even|rather|up\s+to|bordering\s+on|leaning(?:\s+towards?)?)"
)
_NO_UNIT = "points|pts|stars|marks|this|thus|always|thanks|perhaps|yes|besides|regardless|nonetheless|plus|minus"
PERCENT = (Form(" %", rf"{_CLOSING}(?:[%\u2030]|per\s?cent\b|pct\b|percentile\b)"),)
FRACTION = (
    Form("\u20444", rf"{_AFTER}\u2044\s?\d"),
    Form(" 1/2", rf"{_AFTER}\d{{1,4}}\s?[/\u2044]\s?\d"),
    Form(" and a half", rf"{_AFTER}(?:and|&)\s+(?:an?\s+|one\s+)?(?:half|third|quarter|\d\s?/)"),
    Form(
        " (three and a half",
        rf"{_AFTER}[ \t]*\(\s?(?:{_DIGITS}|{_NAME})\s+(?:and|&)\s+(?:an?\s+|one\s+)?(?:half|third|quarter)",
    ),
    Form(" point 5", rf"{_CLOSING}point\s+(?:\d|{_NAME})"),
    Form(" tenths", r"[ \t-]{1,4}(?:halves|thirds|quarters|fifths|tenths|hundredths)\b"),
)
OTHER_UNIT = (
    Form(" thousand", rf"{_CLOSING}[ \t-]?(?:hundred|thousand|[mbtr]{{1,2}}illion|lakh|crore|dozen|grand|k)s?\b"),
    Form(" minutes", rf"{_CLOSING}[ \t-]?(?-i:(?:second|minute|hour|day|week|month|year|word|sentence|line|page|"
    r"percentage[ \t]point|time|degree|vote|thumb|dollar|euro|pound|cent)s?)\b"),
    Form(" kg", rf"{_CLOSING}[ \t]?(?-i:kg|g|mg|km|cm|mm|m|ms|s|h|kB|MB|GB|\u00b0[CF]?)(?![\w'\u2019.:)])"),
    Form(" \u20ac", rf"{_CLOSING}[ \t]?(?:[\u00b0\u00a2-\u00a5\u20a0-\u20c0])"),
    Form(
        " bananas",  # alone at the end of the sentence
        rf"{_CLOSING}[ \t]{{0,4}}(?-i:(?!(?:{_NO_UNIT})\b)[a-z]{{3,20}}s)(?=[ \t]*(?:[.!\n]|$))",
    ),
)  # fmt: skip
SCALE = (
    Form(
        " out of 5",
        rf"{_AFTER}(?:\n?[,(\[])?\s?"
        r"(?:[/\\]|out\s+of|of(?:\s+the)?|(?<!\n)(?:in|per|over|from)\b|on\s+(?:an?|the)\s+scale\s+(?:of|from))[ \t]*"
        rf"(?:an?\s+|the\s+)?(?:(?:possible|max(?:imum)?|total)\s+(?:of\s+)?)?{_FROM}{OPENING}"
        rf"(?P<of>\d{{1,4}}+(?:\.\d{{1,4}})?+|{_NAME})(?!\s?%)",
    ),
    Form(
        " on a ten-point scale",
        rf"{_AFTER}[(]?(?:on\s+(?:an?|the)\s+)?{_FROM}(?P<points>\d{{1,4}}|{'|'.join(NAMES)})[\s-]*(?:point[\s-]*)?"
        r"scale\b",
    ),
    Form(
        " (1 = bad, 10 = best",
        rf"{_AFTER},?[ \t]*(?:\(|(?:where|with)\b)[^()\n]{{0,40}}?(?P<best>\d{{1,4}})\s?(?:=|is|being|as)\s?(?:the\s+)?"
        r"(?:best|highest|max|top|perfect)",
    ),
    Form(
        " (on a scale of 0-5)",
        rf"{_AFTER}\.?[ \t]*[(\[]\s?(?:(?:on\s+(?:an?|the)\s+)?(?:scale\s*:?\s*(?:of|from)?\s*)?{_FROM.rstrip('?')}"
        r"|max(?:imum)?\W{0,3})(?P<within>\d{1,4})[^()\[\]\n]{0,20}[)\]]",
    ),
)
SEVERAL = (
    Form(
        " to 4",
        rf"{_AFTER}[ \t(]*(?P<join>(?:{_JOINING}[ \t]*){{1,4}}+){OPENING}(?P<other>{_DIGITS}|{_NAME})",
    ),
    Form(" 4", r"[ \t*_`\"'\u201d)\]}$]{0,16}(?<=[ \t])\d"),
    Form(" (style), 4", rf"{_AFTER}[ \t]*\([^()\n]{{0,60}}\)[ \t]*(?:[,;/&|+]|and\b)?[ \t]*(?:{_DIGITS}|{_NAME})"),
    Form(" - style; 4 -", rf"{_AFTER}[ \t]*{_DASH}\s[^\n\d.;]{{1,60}};\s*(?:{_DIGITS}|{_NAME})\s?{_DASH}"),
)
BOUND = (
    Form("+", r"\+|-(?![>-])"),
    Form(
        " or higher",
        rf"{_AFTER}[ \t]*(?:or|and)\s+(?:higher|lower|more|less|above|below|better|worse|so|up)\b",
    ),
    Form(" if", rf"{_AFTER}[ \t]*(?:if|unless)\b"),
    Form(" at least", rf"{_AFTER}[ \t]*at\s+(?:least|most|best|worst)\b"),
    Form(" minimum", rf"{_AFTER}[ \t]*(?:min(?:imum)?|max(?:imum)?)\b(?!\s*\d)"),
    Form("-ish", rf"{_AFTER}[ \t]*-?ish\b"),
    Form(" \u00b1 1", rf"{_AFTER}[ \t]*(?:\u00b1|\+/-|plus\s+or\s+minus\b)\s?\d?"),
    Form(" minus", rf"{_AFTER}[ \t]*(?:plus|minus)\b(?=[ \t]*(?:[.,;\n]|$))"),  # a grade of a school
)
DOUBTED = (
    Form("?", rf"{_AFTER}\?"),
    Form(" would", rf"{_AFTER}[ \t]*(?:would|could|might|may)\b"),
    Form(" is what", rf"{_AFTER}[ \t]*(?:is|was)\s+(?:what|how)\b"),
    Form(" is far too", rf"{_AFTER}[ \t]*(?:is|was|seems?|feels?)\s+(?:\w{{1,12}}\s+){{0,2}}?too\b"),
)
WITHOUT_RESULT = (
    Form(
        ", minus 2",
        rf"{_AFTER}{_NOTE}[,(]?\s?(?:\+|plus\b|minus\b|less\b|x\b|\u00d7|\u00f7|times\b)[ \t]{{0,4}}+"
        rf"(?:{_DIGITS}|{_NAME})",
    ),
    Form(
        " minus a penalty of 2",
        rf"{_AFTER}{_NOTE}[,(]?\s?(?:(?:plus|minus|less)\s+(?:[^\W\d]+\s+){{1,4}}|"
        rf"(?:with|after|before)\s+(?:[^\W\d]+\s+){{0,3}}(?:deductions?|penalty|bonus)\s+of\s+)(?:{_DIGITS}|{_NAME})",
    ),
    Form(" (+1", rf"{_AFTER}[ \t]*[(\[]\s?(?:\+|-|plus\b|minus\b|less\b)[ \t]{{0,4}}+(?:{_DIGITS}|{_NAME})"),
)
DOUBT = any_of(*DOUBTED)
_SCALE = any_of(*SCALE)
_NO_WHOLE = ((any_of(*PERCENT), "is a percentage"), (any_of(*FRACTION), "is a fraction, not a whole number"))
_NO_ONE = (
    (any_of(*WITHOUT_RESULT), "is a sum without its result"),
    (any_of(*OTHER_UNIT), "is in another unit"),
    (any_of(*SEVERAL), "is more than one number"),
    (any_of(*BOUND), "is a bound or a condition, not a score"),
    (DOUBT, "is doubted or rejected"),
)
_REVISED = r"(?:revised|adjusted|corrected|updated|new|final|overall|total)"
_CORRECTED = (
    r"(?:no|wait|actually|correction|corrected|edit(?:ed)?|revised|updated|adjusted|sorry|rather|scratch\s+that|"
    r"on\s+(?:reflection|second\s+thoughts?)|i\s+mean(?:t)?|make\s+(?:it|that))"
)
_CHANGED = r"(?:chang|reduc|lower|rais|increas|decreas|downgrad|upgrad|adjust|revis|correct|bump|drop|cut|mov)\w{0,4}"
_WOULD = r"(?:'d|'ll|\s+would|\s+will|\s+should|\s+must)\s+(?:say|give|settle|go|rate|make|call|score|choose)"
_PERHAPS = r"(?:could|might|may|would|maybe|perhaps|was|edit|previously|originally|up\s+from|i\.?e\.?)"


AGAIN = (  # what leads to one more value, which takes the first one back or stands beside it
    Form(
        ". No, ",
        rf"(?:\W{{1,8}}{_CORRECTED}){{1,3}}"
        r"(?:[^\w\n]|\s(?:to|it|that|is|a|my|i'd|say|give|make|would|be|should)\b){1,16}",
    ),
    Form(
        ". That is too kind, I'd say ",
        rf"[^\d\n]{{1,120}}?\bi{_WOULD}\b[^\d\n]{{0,20}}?\s",
    ),
    Form(
        "\n\nActually, I'd say ",
        rf"[.\s]{{0,4}}\n\W{{0,8}}(?:actually|however|but|no|wait|hmm|still|though)\b[^\d\n]{{0,60}}?\bi{_WOULD}\b[^\d\n]{{0,20}}?\s",
    ),
    Form(
        " lowered to ",
        rf"[^.\n\d]{{0,40}}?\b{_CHANGED}\s+(?:(?:it|this|that|down|up)\s+){{0,2}}(?:to|by)\s+(?:an?\s+)?",
    ),
    Form(
        ". I change this to ",
        rf"[^\n\d]{{0,80}}?\bi\s+(?:(?:have|will|would|must|now)\s+){{0,2}}{_CHANGED}\s+[^.\n\d]{{0,20}}?to\s+(?:an?\s+)?",
    ),
    Form(
        "\nRevised score: ",
        rf"[^\n]{{0,80}}\n\W{{0,8}}(?:{_REVISED}[*_ \t]{{1,4}})?"
        rf"(?:{_REVISED}|(?<=[*_ \t])(?:score|rating|verdict|grade|answer))[*_ \t]{{0,4}}[:=]\s*",
    ),
    Form(" -> final:", r"[ \t]*(?:-+>|=+>|\u2192)[^\d\n]{1,40}[:=]", " 4"),
    Form(" for style, ", r"[ \t]*(?:for|=)\s[^\n\d.;]{1,60}(?:,|;|\band\b|\bbut\b)\s"),
    Form(" (could be ", rf"[ \t]*[(\[]\s*(?:{_PERHAPS}\W{{1,3}}(?:be\s+|even\s+)?)?(?=ALONE)", "4)"),
)


def again_forms(value: str) -> list[Form]:
    """`AGAIN` for such values: in brackets one counts where nothing else is in them."""
    alone = rf"{OPENING}(?:{value}){_AFTER}(?:[)\]]|(?<=[)\]])|/|out\s+of\b)"
    return [form._replace(pattern=form.pattern.replace("ALONE", alone)) for form in AGAIN]


def said_again(value: str) -> re.Pattern[str]:
    """One more `value`, in the group `again`."""
    before = "|".join(form.pattern for form in again_forms(value))
    return re.compile(rf"{_AFTER}(?:{before}){OPENING}(?P<again>{value})(?![a-z])(?!\s?%)", re.IGNORECASE)


_SAID_AGAIN = said_again(f"{_DIGITS}|{_NAME}")
_SIGN = re.compile(
    rf"{_AFTER}{_NOTE}(\+|-|\u2013|plus\b|minus\b|less\b|x\b|\u00d7|\u00f7|/|times\b)[ \t]{{0,4}}+", re.IGNORECASE
)
_EQUALS = re.compile(rf"{_AFTER}{_NOTE}=[ \t]{{0,4}}+")
_NAMED_ALONE = re.compile(rf"{_AFTER}(?:$|[.,;:!?\n({{\[\u2014\u2013-]|because\b|since\b|as\b)", re.IGNORECASE)
_OPENING = re.compile(OPENING)
_WHOLE_SCALE = re.compile(rf"[01]\s?(?:{_DASH}|to)\s?{HIGHEST_SCORE}(?![\w%]|[.,/]\d)", re.IGNORECASE)
MOST_TERMS = 24
_TAG = re.compile(r"</?(?:b|strong|i|em|u|span|p|div|font|mark|h[1-6]|br|li|td|th|tr)\b[^<>\n]{0,80}+>", re.IGNORECASE)
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
    apart = _TAG.sub(" ", apart)
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
    if refusal is None and (again := _SAID_AGAIN.match(text, end)) and value_of(again["again"]) != value:
        refusal = again.end(), "is more than one number"
    if refusal is None and last[1].lower() in NAMES and end == last.end() and not _NAMED_ALONE.match(text, end):
        return None  # "one of the best"
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
    return float(NAMES.index(name)) if name in NAMES else float(number.replace(",", "."))


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
