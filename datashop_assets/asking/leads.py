r"""What may stand before a verdict in its sentence, so that it is the model's own.

    lead       = {connection} [reason ","] ["I give it" | "the text earns"] {"the" | "my" | "a" | ...}
    connection = "so" | "overall" | "in conclusion" | "here is" | ...
    reason     = "because ..." | "based on ..." | ...

A verdict under a condition ("if it had sources, ...", or below a line "For example:") is what another text would get,
and is passed over. One behind any other words ("I cannot give a", "The reviewer's") may be the model's or not: it is
none by itself, and counts against others that say something else.
"""

import re
from enum import StrEnum

from datashop_assets.asking.forms import Form, any_of

_BEFORE = 240  # characters of a verdict's sentence
CONDITION = (
    Form("if", r"\b(?:if|unless|whether|until|suppos(?:e|ing)|imagine|hypothetical(?:ly)?)\b"),
    Form("would", r"\b(?:would|could|might|should|must|may|(?:were|had)\s+(?:it|this|the))\b"),
    Form("example", r"\b(?:examples?|instance|ideal(?:ly)?|perfect|format|typical(?:ly)?|normally)\b"),
    Form("e.g", r"\be\.g"),
)
EXAMPLE_LINE = (  # the end of the line before, of what is then an example
    Form("For example:", r"\b(?:for\s+)?(?:examples?|e\.g|samples?|template|format|form)\b[^\n]{0,80}:\W{0,8}$"),
    Form("like this:", r"\b(?:like\s+this|as\s+follows|such\s+as)\b[^\n]{0,80}:\W{0,8}$"),
    Form("would be:", r"\b(?:would|should|could)\b[^\n]{0,80}:\W{0,8}$"),
    Form("I will answer:", r"\bI(?:'ll|\s+will)\s+(?:answer|respond|reply|write)\b[^\n]{0,80}:\W{0,8}$"),
)
ASKS_FOR_TEXT = (  # anywhere in a reply, which then is about no text
    Form(
        "Please provide",
        r"\b(?:please|kindly|could\s+you|can\s+you)\s+(?:\w+\s+)?(?:provide|paste|share|give|send|supply|include|insert)\b",
    ),
    Form(
        "no text was given",
        r"\b(?:no|not\s+any|missing\s+the)\s+(?:text|document|extract|passage|content)\b[^.\n]{0,20}\b"
        r"(?:provided|given|supplied|attached|included|here|to\s+(?:rate|score|judge|evaluate))\b",
    ),
    Form("There is no text", r"\bthere\s+is\s+no\s+(?:text|document|extract|passage)\b"),
    Form("text is missing", r"\b(?:text|document)\s+(?:is|seems|appears)\s+(?:to\s+be\s+)?(?:empty|missing)\b"),
)
_SAYING = (
    r"(?:give|assign|award|rate|score|set|put|conclude|settle|say|go|find|choose|select|pick|judge|place|label|grade|"
    r"call|arrive|come|think)"
)
_I_SAY = re.compile(  # which is no condition
    rf"\bI(?:['\u2019](?:d|ll)|\s+(?:would|should|could|must|will))\s+(?:\w+\s+){{0,2}}?{_SAYING}\b", re.IGNORECASE
)

_CONNECTING = (
    r"so|therefore|thus|hence|overall|finally|accordingly|consequently|and|now|then|but|however|yet|still|giving|making|"
    r"in\s+(?:conclusion|summary|total|sum|short|the\s+end)|to\s+(?:conclude|sum\s+up|summari[sz]e)|as\s+a\s+result|"
    r"all\s+in\s+all|for\s+(?:this|that|these|those)\s+reasons?|resulting\s+in|here\s+(?:is|are)|(?:as\s+)?it\s+stands|"
    r"(?:this|that|which|it)\s+(?:gives?|makes?|means|leads\s+to|adds\s+up\s+to)|\d{1,2}\.?|"
    r"(?:my\s+)?(?:verdict|conclusion|answer|result|judge?ment|evaluation|assessment|summary|output|response|reply|total|"
    r"sum|reason(?:s|ing)?)"
)
_REASON = (
    r"(?:because|since|as|given|considering|based\s+on|due\s+to|for|after|from|looking\s+at|taking|by|with)\b"
    r"[^.;!?\n]{1,200}?,\s*(?:(?:so|then|therefore|thus|hence)\b[\s,]*)?"
)
_NEGATED = (
    r"not|cannot|no|never|nothing|neither|nor|without|instead|rather|less|more|than|below|above|under|barely|hardly|"
    r"almost|nearly|most|least|fails?|failed|unable|short|too|anything|far"
)
_I = r"I(?:\s?['\s](?:d|ll|m)|\s+(?:would|will|must|should|can|do|am))?(?:\s+(?:therefore|thus|hence|\w+ly|giving))?"
_TEXT = r"(?:this|the|your)\s+(?:\w+\s+)?(?:text|document|passage|article|page|excerpt|extract|piece|content)"
_STATEMENT = (
    rf"{_I}(?:\s+{_SAYING}(?:\s+(?!(?:{_NEGATED})\b)[\w']+){{0,8}}?)?"
    rf"|{_TEXT}\s+(?:gets|earns|receives|deserves|scores|merits|is\s+given|is\s+worth|is\s+rated)"
)
_ARTICLES = r"(?:\s*\b(?:my|the|your|an?|this|of|is|with|to|at|as|that|own|on|in|final|overall|total)\b)*"
_LEAD = re.compile(rf"\s*(?:(?:{_CONNECTING})\b[\s,]*)*(?:{_REASON})?(?:{_STATEMENT})?{_ARTICLES}[\s,]*", re.IGNORECASE)
_MARKS = re.compile(r"(?:\\[a-zA-Z]+|[*_`#>\"'\u201c\u201d\u2018\u2019(){}\[\]$\\:<=\u2192\u2010-\u2015\u2022+-])+")
_NO_ABBREVIATION = r"(?<!\be\.g)(?<!\bi\.e)"
_SENTENCE_ENDS = re.compile(rf"{_NO_ABBREVIATION}[.!?;](?=\s|$)|\n")
_BEGINS = re.compile(  # a sentence, a cell or a conclusion
    rf"{_NO_ABBREVIATION}[.!?;\u3002](?=\W)|\n|\||\u2026|"
    r",[ \t]{1,4}(?=(?:so|therefore|thus|hence|giving|making|resulting|which)\b)",
    re.IGNORECASE,
)
_CONDITION, _EXAMPLE_LINE, _ASKS_FOR_TEXT = any_of(*CONDITION), any_of(*EXAMPLE_LINE), any_of(*ASKS_FOR_TEXT)


class Lead(StrEnum):
    """What the words before a verdict make of it."""

    STATES = "states"  # it is the model's own
    CONDITION = "condition"  # it is what another text would get
    UNKNOWN = "unknown"  # it is none by itself, but may contradict another


def lead_of(text: str, begins: int, value: int) -> Lead:
    """How the sentence begins whose verdict is mentioned at `begins` and has its number or label at `value`."""
    before = text[max(0, begins - _BEFORE) : begins]
    line = before.rstrip()
    if "\n" in before[len(line) :] and _EXAMPLE_LINE.search(line[line.rfind("\n") + 1 :]):
        return Lead.CONDITION
    sentence = before[max((one.end() for one in _SENTENCE_ENDS.finditer(before)), default=0) :]
    if _CONDITION.search(_I_SAY.sub("", sentence + text[begins:value])):
        return Lead.CONDITION
    lead = before[max((one.end() for one in _BEGINS.finditer(before)), default=0) :]
    return Lead.STATES if _LEAD.fullmatch(_MARKS.sub(" ", lead)) else Lead.UNKNOWN


def asks_for_text(reply: str) -> bool:
    """Whether a reply says that it got no text, so that a score in it is of nothing."""
    return _ASKS_FOR_TEXT.search(reply) is not None
