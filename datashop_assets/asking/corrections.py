"""How a reply takes back the score or label that it gave, or sets another beside it, as tables with examples."""

import re
from collections.abc import Callable
from functools import cache

from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import AFTER, OPENING

_REVISED = r"(?:revised|adjusted|corrected|updated|new|final|overall|total)"
_CORRECTED = (
    r"(?:no|wait|actually|correction|corrected|edit(?:ed)?|revised|updated|adjusted|sorry|rather|scratch\s+that|"
    r"on\s+(?:reflection|second\s+thoughts?)|i\s+mean(?:t)?|make\s+(?:it|that))"
)
_CHANGED = r"(?:chang|reduc|lower|rais|increas|decreas|downgrad|upgrad|adjust|revis|correct|bump|drop|cut|mov)\w{0,4}"
_WOULD = r"(?:'d|'ll|\s+would|\s+will|\s+should|\s+must)\s+(?:say|give|settle|go|rate|make|call|score|choose)"
_PERHAPS = (
    r"(?:borderline|bordering\s+on|close\s+to|nearly|almost|arguably|strictly|leaning(?:\s+towards?)?|or|could|might|may|"
    r"would|maybe|perhaps|was|edit|previously|originally|up\s+from|i\.?e\.?)"
)


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
        rf"[^\d]{{0,80}}?\bi(?:\s+|'d\s+|'ll\s+)(?:(?:have|will|would|must|now)\s+){{0,2}}{_CHANGED}\s+[^.\n\d]{{0,20}}?to\s+(?:an?\s+)?",
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
    alone = rf"{OPENING}(?:{value}){AFTER}(?:[)\]]|(?<=[)\]])|/|out\s+of\b)"
    return [form._replace(pattern=form.pattern.replace("ALONE", alone)) for form in AGAIN]


def said_again(value: str) -> re.Pattern[str]:
    """One more `value`, in the group `again`."""
    before = "|".join(form.pattern for form in again_forms(value))
    return re.compile(rf"{AFTER}(?:{before}){OPENING}(?P<again>{value})(?![a-z])(?!\s?%)", re.IGNORECASE)


_BEGINS = r"(?:^|[.!?\n][ \t]*)[^\w\n]{0,8}(?:(?:oh|oops|but|and|so|well|however)\b[^\w\n]{1,4})?"
DOUBTS = (  # said after a verdict: that it is wrong
    Form(
        "I miscounted",
        rf"{_BEGINS}(?:[^.!?\n]{{0,40}}[ \t])?i\s+(?:have\s+)?(?:mis(?:counted|judged|read|calculated|added)|"
        r"made\s+an?\s+(?:mistake|error)|was\s+(?:wrong|mistaken))\b",
    ),
    Form(
        "Ignore that",
        rf"{_BEGINS}(?:(?:please|you\s+may)\s)?(?:ignore|disregard|forget|scratch)\s+(?:that|this|it|the)\b",
    ),
    Form(
        "That was a joke",
        rf"{_BEGINS}(?:just\s+|i(?:'m|\s+am)\s+)?(?:(?:that|this|it)(?:'s|\s+(?:is|was))\s+(?:only\s+|just\s+)?a\s+(?:joke|guess|placeholder)|kidding|joking)\b",
    ),
    Form("Subtract one", rf"{_BEGINS}(?:subtract|deduct|take\s+off|remove)\s+(?:an?|one|two|three|\d|half)\b"),
    Form(
        "score above is wrong",
        r"\b(?:above\s+)?(?:score|rating|label|verdict|grade)(?:\s+(?:above|here|given|i\s+gave))?\s+(?:is|was)\s+(?:wrong|incorrect|"
        r"not\s+(?:right|correct|mine|valid)|for\s+another|an?\s+(?:mistake|error|placeholder|example)|invalid|too\s+\w+)",
    ),
    Form(
        "I need to recount",
        rf"{_BEGINS}(?:[^.!?\n]{{0,40}}[ \t])?i\s+(?:need|have|want|ought)\s+to\s+"
        r"(?:recount|reconsider|re-?evaluate|correct|revise|adjust|lower|raise)\b",
    ),
    Form(
        "Let me lower",
        rf"{_BEGINS}(?:let\s+me|i(?:'ll|\s+will|\s+must))\s+(?:lower|reduce|raise|increase|revise|correct|change|adjust|reconsider|recount)\b",
    ),
)
RECONSIDERED = (  # said after a verdict: that it is weighed again, so that what it comes to counts
    Form("Wait", rf"{_BEGINS}(?:wait|hm+|hold\s+on|oops|apologies|i\s+apologi[sz]e|sorry|actually|correction)\b"),
    Form(
        "Upon reconsideration",
        rf"{_BEGINS}(?:up)?on\s+(?:further\s+|closer\s+|second\s+|a\s+second\s+)?(?:reconsideration|reflection|review|thoughts?|inspection|look|reading|consideration)\b",
    ),
    Form(
        "Let me double-check",
        rf"{_BEGINS}(?:let\s+me|let's|i(?:'ll|\s+will|\s+should))\s+(?:double[\s-]?check|re-?check|check|verify|re-?examine|count|look|think|re-?think|re-?read)\b",
    ),
    Form(
        "I am not sure",
        rf"{_BEGINS}(?:[^.!?\n]{{0,40}}[ \t])?i(?:'m|\s+am)\s+(?:not|un)\s*"
        r"(?:quite\s+|entirely\s+|fully\s+|really\s+|so\s+)?(?:sure|certain|confident)\b",
    ),
    Form("Strictly speaking", rf"{_BEGINS}(?:strictly|properly)\s+speaking\b"),
    Form(
        "Looking again",
        rf"{_BEGINS}(?:looking|thinking|reading|counting|checking|considering)\s+(?:it\s+|this\s+)?(?:again|closer|more\s+closely|twice)\b",
    ),
)
_ENDS = rf"{AFTER}(?=\s*(?:[.,;!)\n/]|$|(?:out\s+of|instead|rather|because|since|as)\b))"
RESULTS = (  # where such words come to another VALUE
    Form(
        "it is a 2",
        rf"\b(?:it|that|this)(?:'s|\s+is|\s+(?:should|must|would|has\s+to)\s+be|\s+becomes|\s+comes\s+to|\s+(?:only\s+)?(?:earns?|gets?|deserves?|merits?|scores?|has)(?:\s+only)?)\s+(?:only\s+)?(?:an?\s+)?{OPENING}VALUE{_ENDS}",
    ),
    Form(
        "So 2",
        rf"\b(?:so|thus|hence|therefore|makes|making|gives?|giving|to|=)[\s,:]{{1,3}}(?:only\s+|an?\s+)?{OPENING}VALUE{_ENDS}",
    ),
    Form(
        "2 may be",
        r"(?<![\w.,])VALUE\s+(?:may|might|could|would|seems?|is|feels?)\s+(?:to\s+)?(?:be\b|better|fairer|closer|more)",
    ),
)
CORRECTIONS = (  # that need no such words before
    Form(
        "correct score is 2",
        r"\b(?:final\s+(?:answer|rating|verdict|grade|total)|(?:correct|actual|true|right|proper|real)\s+(?:final\s+)?(?:answer|score|rating|verdict|grade|total|one))"
        rf"(?:\s+(?:is|should\s+be|must\s+be|would\s+be)|{AFTER}[:=]){{1,2}}\s*(?:an?\s+)?{OPENING}VALUE{_ENDS}",
    ),
    Form(
        "score should be 2",
        rf"\b(?:score|rating|grade|verdict|label|answer)\s+(?:should|must|ought\s+to)\s+(?:\w+\s+)?be\s+(?:an?\s+)?{OPENING}VALUE{_ENDS}",
    ),
)
_DOUBTS, _RECONSIDERED = any_of(*DOUBTS), any_of(*RECONSIDERED)
_NEXT_MENTION = re.compile(r"final[\s*_-]{1,4}score[^\w\n]{0,8}[:=]", re.IGNORECASE)  # a verdict of its own
_REST, _WEIGHED = 4000, 400  # characters in which such words and what they come to are looked for


def with_value(forms: tuple[Form, ...], value: str) -> list[Form]:
    """`forms` for such values."""
    return [form._replace(pattern=form.pattern.replace("VALUE", f"(?:{value})")) for form in forms]


@cache
def _valued(forms: tuple[Form, ...], value: str) -> re.Pattern[str]:
    """One of `forms`; its value is in the last group that matched."""
    written = "|".join(form.pattern.replace("VALUE", f"({value})(?![a-z])(?!\\s?%)") for form in forms)
    return re.compile(written, re.IGNORECASE | re.MULTILINE)


def taken_back(text: str, end: int, value: str, differs: Callable[[str], bool]) -> int | None:
    """Where what follows a verdict doubts it, or comes to another value that `differs`; None where it does not.

    `value` is a pattern without groups.
    """
    rest = text[end : end + _REST]
    if mention := _NEXT_MENTION.search(rest):
        rest = rest[: mention.start()]
    if doubt := _DOUBTS.search(rest):
        return end + doubt.end()
    weighed = [(one.end(), one.end() + _WEIGHED, RESULTS) for one in _RECONSIDERED.finditer(rest)]
    for begin, until, forms in ((0, _REST, CORRECTIONS), *weighed):
        for found in _valued(forms, value).finditer(rest[begin:until]):
            if differs(next(filter(None, found.groups()))):
                return end + begin + found.end()
    return None
