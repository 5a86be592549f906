r"""What may stand before a verdict in its sentence, so that it is the model's own.

    lead       = {connection} [reason ","] ["I give it" | "the text earns"] {"the" | "my" | "a" | ...}
    connection = "so" | "overall" | "in conclusion" | "here is" | ...
    reason     = "because ..." | "based on ..." | ...

Behind another sentence in its line a verdict has to end the reply, and a line above that ends in a colon must announce
it ("Here is my evaluation:"). A verdict under a condition ("if it had sources, ...", or below a line "For example:") is
what another text would get, and is passed over. One behind any other words ("I cannot give a", "The reviewer's") may be
the model's or not: it is none by itself, and counts against others that say something else.
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
    Form("like this:", r"\b(?:like\s+this|such\s+as)\b[^\n]{0,80}:\W{0,8}$"),
    Form("would be:", r"\b(?:would|should|could)\s+(?:be|look|get|read|receive)\b[^\n]{0,80}:\W{0,8}$"),
    Form("I will answer:", r"\bI(?:'ll|\s+will)\s+(?:answer|respond|reply|write)\b[^\n]{0,80}:\W{0,8}$"),
)
_TEXTS = r"(?:texts?|documents?|extracts?|excerpts?|passages?|contents?|articles?|input)"
NO_TEXT = (  # anywhere in a reply, which then is about no text
    Form(
        "Please provide",
        r"\b(?:please|kindly|could\s+you|can\s+you)\s+(?:\w+\s+)?(?:provide|paste|share|give|send|supply|include|insert)\b",
    ),
    Form(
        "no text was given",
        rf"\b(?:no|not\s+any|missing\s+the)\s+{_TEXTS}\b[^.\n]{{0,20}}\b"
        r"(?:provided|given|supplied|attached|included|here|to\s+(?:rate|score|judge|evaluate))\b",
    ),
    Form("there is no text", rf"\b(?:there\s+is|there's|is)\s+no\s+(?:actual\s+)?{_TEXTS}\b"),
    Form(
        "text was not provided",
        rf"\b{_TEXTS}\s+(?:is|was|were|has|have|hasn't|isn't|wasn't)\s*(?:not|n't)?(?:\s+been)?\s+"
        r"(?:not\s+)?(?:provided|included|given|attached|shown|supplied|available|present)\b",
    ),
    Form(
        "text is missing",
        rf"\b{_TEXTS}\s+(?:is|are|seems|appears|was)\s+(?:to\s+be\s+)?(?:empty|missing|blank|unavailable|cut\s+off)\b",
    ),
    Form(
        "cannot see the text",
        r"\b(?:can(?:no|')t|cannot|can\s+not|do(?:\s+not|n't)|did(?:\s+not|n't)|unable\s+to|not\s+able\s+to|have(?:n't|\s+not))"
        r"\s+(?:actually\s+)?(?:see|access|find|view|read|open|receive[d]?|have|include[d]?|provide[d]?|evaluate|rate|assess|judge)"
        rf"\s+(?:[\w']+\s+){{0,4}}?{_TEXTS}\b",
    ),
    Form(
        "pas fourni",
        r"\bpas\s+(?:\u00e9t\u00e9\s+)?fourni|nicht\s+(?:vorhanden|angegeben|mitgeschickt)|no\s+se\s+(?:ha\s+)?proporcion",
    ),
    Form("\u6ca1\u6709\u63d0\u4f9b", r"(?:\u6ca1\u6709|\u672a)\u63d0\u4f9b"),
)
ANNOUNCING = Form(  # a line that ends in a colon, before a verdict of the model's own
    "Here is my evaluation",
    r"(?!.*\b(?:author|writer|reviewer|critic|user|other|previous|perfect|ends?|says?|claims?|line|instruct\w*|output|"
    r"quote[sd]?|documents?|text's|concludes?)\b)"
    r".*\b(?:scores?|ratings?|evaluation|verdict|assessment|judge?ment|conclusion|result|answer|label|grade|follow(?:s|ing)|"
    r"reason(?:s|ing)?|explanation|analysis|response|summary|total)\b[^\w\n]*",
)
_SAYING = (
    r"(?:giv(?:e|ing)|assign(?:ing)?|award|rate|score|set|put|conclude|settle|say|go|find|choose|select|pick|judge|place|label|grade|"
    r"call|arrive|come|think)"
)
_I_SAY = re.compile(  # which is no condition
    rf"\bI(?:['\u2019](?:d|ll)|\s+(?:would|should|could|must|will))\s+(?:\w+\s+){{0,2}}?{_SAYING}\b", re.IGNORECASE
)

_CONNECTING = (
    r"so|therefore|thus|hence|overall|finally|accordingly|consequently|and|now|then|but|however|yet|still|giving|making|"
    r"in\s+(?:conclusion|summary|total|sum|short|the\s+end)|to\s+(?:conclude|sum\s+up|summari[sz]e)|as\s+a\s+result|"
    r"all\s+in\s+all|for\s+(?:this|that|these|those)\s+reasons?|resulting\s+in|leading\s+to|earning(?:\s+it)?|here\s+(?:is|are)|por\s+lo\s+tanto|fazit|also|donc|ainsi|note\s+finale|"
    r"\u7efc\u4e0a\u6240\u8ff0|\u56e0\u6b64|\u6240\u4ee5|\u6700\u7ec8\u5f97\u5206|\u4ee5\u4e0a\u3088\u308a|(?:as\s+)?it\s+stands|"
    r"(?:this|that|which|it)\s+(?:gives?|makes?|means|leads\s+to|adds\s+up\s+to)|\d{1,2}\.?|"
    r"(?:my\s+)?(?:verdict|conclusion|answer|result|judge?ment|evaluation|assessment|summary|output|response|reply|total|"
    r"sum|reason(?:s|ing)?)"
)
_REASON = (
    r"(?:because|since|as|given|considering|based\s+on|due\s+to|for|after|from|looking\s+at|taking|by|with|adding|"
    r"according\s+to|in\s+light\s+of|with\s+regard\s+to|under|following)\b"
    r"[^.;!?\n]{1,200}?,\s*(?:(?:so|then|therefore|thus|hence)\b[\s,]*)?"
)
_NEGATED = (
    r"not|cannot|no|never|nothing|neither|nor|without|instead|rather|less|more|than|below|above|under|barely|hardly|"
    r"almost|nearly|most|least|fails?|failed|unable|short|too|anything|far"
)
_I = (
    r"I(?:\s?['\s](?:d|ll|m)|\s+(?:would|will|must|should|can|do|am))?"
    r"(?:\s+(?:therefore|thus|hence|\w+ly|giving|going\s+with))?"
)
_TEXT = r"(?:this|the|your)\s+(?:\w+\s+)?(?:text|document|passage|article|page|excerpt|extract|piece|content)"
_STATEMENT = (
    rf"{_I}(?:\s+{_SAYING}(?:\s+(?!(?:{_NEGATED})\b)[\w']+){{0,8}}?)?"
    rf"|{_TEXT}\s+(?:gets|earns|receives|deserves|scores|merits|is\s+given|is\s+worth|is\s+rated)"
)
_ARTICLES = r"(?:\s*\b(?:my|the|your|an?|this|of|is|with|to|at|as|that|own|on|in|final|overall|total)\b)*"
_LEAD = re.compile(rf"\s*(?:(?:{_CONNECTING})\b[\s,]*)*(?:{_REASON})?(?:{_STATEMENT})?{_ARTICLES}[\s,]*", re.IGNORECASE)
_MARKS = re.compile(
    r"(?:\\[a-zA-Z]+|[*_`#>\"'\u201c\u201d\u2018\u2019(){}\[\]$\\:<=/+\u2192\u2010-\u2015\u2022\u3001-]|"
    r"[\u2600-\u27bf\u2b50\ufe0f\u20e3\U0001f300-\U0001faff])+"
)
_SPACE_AND_MARKS = " \t\n\r*_:`#>\u2013\u2014-|\"'\u201c"
_ABBREVIATIONS = (
    "e\\.g",
    "i\\.e",
    "max",
    "min",
    "est",
    "vs",
    "ex",
    "approx",
    "ca",
    "Max",
    "Min",
    "Est",
    "Ex",
    "Approx",
)
_NO_ABBREVIATION = "".join(rf"(?<!\b{one})" for one in _ABBREVIATIONS)
_SENTENCE_ENDS = re.compile(rf"{_NO_ABBREVIATION}[.!?;](?=\s|$)|\n")
_BEGINS = re.compile(  # a sentence, a cell or a conclusion
    rf"{_NO_ABBREVIATION}[.!?;\u3002](?=\W)|\n|\||\u2026|"
    r",[ \t]{1,4}(?=(?:so|therefore|thus|hence|giving|making|resulting|leading|earning|which)\b)",
    re.IGNORECASE,
)
_SENTENCE, _WORD = re.compile(r"[.!?;\u3002](?=\W)"), re.compile(r"\w")
_CONDITION, _EXAMPLE_LINE, _NO_TEXT = any_of(*CONDITION), any_of(*EXAMPLE_LINE), any_of(*NO_TEXT)
_ANNOUNCING = any_of(ANNOUNCING)


class Lead(StrEnum):
    """What the words before a verdict make of it."""

    STATES = "states"  # it is the model's own
    CONDITION = "condition"  # it is what another text would get
    UNKNOWN = "unknown"  # it is none by itself, but may contradict another


def lead_of(text: str, begins: int, value: int, ends: int) -> Lead:
    """What stands before a verdict that is mentioned at `begins`, with its number or label from `value` to `ends`."""
    before = text[max(0, begins - _BEFORE) : begins]
    line = before.rstrip(_SPACE_AND_MARKS)
    above = line[line.rfind("\n") + 1 :] if "\n" in before[len(line) :] else ""
    if _EXAMPLE_LINE.search(f"{above}:" if before[len(line) :].startswith(":") else above):
        return Lead.CONDITION
    sentence = before[max((one.end() for one in _SENTENCE_ENDS.finditer(before)), default=0) :]
    if _CONDITION.search(_I_SAY.sub("", sentence + text[begins:value])):
        return Lead.CONDITION
    announced = not above or not before[len(line) :].lstrip("*_ ").startswith(":") or _ANNOUNCING.fullmatch(above)
    lead = before[max((one.end() for one in _BEGINS.finditer(before)), default=0) :]
    first = before.rfind("\n") + 1  # of the line
    alone = not _SENTENCE.search(before, first) or not _WORD.search(text, ends, ends + _BEFORE)
    stated = announced and alone and _LEAD.fullmatch(_MARKS.sub(" ", lead))
    return Lead.STATES if stated else Lead.UNKNOWN


def only_leads(words: str) -> bool:
    """Whether words between two verdicts say nothing but that the second one comes."""
    return _LEAD.fullmatch(_MARKS.sub(" ", re.sub(r"[.;!?\n]", " ", words))) is not None


def has_no_text(reply: str) -> bool:
    """Whether a reply says that it got no text, or asks for it, so that a score in it is of nothing."""
    return _NO_TEXT.search(reply) is not None
