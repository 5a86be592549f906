"""`Final score: 3`: the number that most rubrics ask for, on what scale it may be, and the processor that reads it."""

import re
from collections.abc import Iterator, Sequence

from datashop_assets.asking.clauses import other_numbers
from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import AFTER, DASH, HIGHEST_SCORE, NAMES, OPENING
from datashop_assets.asking.verdicts import Grammar, Place, WrittenVerdict
from datashop_assets.asking.written_numbers import number_at, value_of
from datashop_assets.protocols.processor import Parsed

RATINGS = frozenset({"label", "score", "rating", "verdict", "grade"})

MARKS = r"[\s*_`\"'\u201d\\)\]}]{0,16}+"
_THEREFORE = r"(?:[ \t]+(?:therefore|thus|hence|then|consequently|accordingly)\b)?"
_A = r"(?:\s{0,2}an?(?=\s+\W{0,3}\d))?"
IS = rf"(?:{MARKS}(?:(?:is|was|of)\b{_THEREFORE}|[:=]|->|\u2192|{DASH}(?!\d))){{0,2}}+{_A}{OPENING}"
_BEFORE_IS = rf"(?={MARKS}(?:[:=]|is\b|{DASH}\s))"
_FROM = rf"\d\s?(?:{DASH}|to|\.\.\.?)\s?"

# What the parts of "Final score (out of 5): 3" look like, each by an example.
MENTION = (
    Form("final_score>", r"(?<=<)final[_-]?score>"),
    Form(
        "Final **score",
        r"(?<![a-z])(?<!</)(?<![a-z][\u2010-])(?<!semi\s)(?<!quarter\s)(?<!half\s)final[\s*_`\"'-]{0,8}+score(?![a-z])",
    ),
    Form(
        "Revised score",
        r"(?<![a-z])(?<!</)(?:revised|corrected|adjusted|updated)[\s*_]{1,4}(?:final[\s*_]{1,4})?score(?![a-z])",
    ),
)
_WITHIN = r"(?P<of>\d{1,4}+)(?:\s?points?)?\s?[)\]]?"
SCALE = (
    Form(
        " (out of 5)",
        rf"{MARKS}[(\[]?\s?(?:(?:(?:on\s+)?(?:an?\s+|the\s+)?scale(?:\s+(?:of|from))?|out\s+of|from|of|max(?:imum)?\.?|/)"
        rf"[\s:]*(?:{_FROM})?|{_FROM}){_WITHIN}{_BEFORE_IS}",
        ":",
    ),
)
NOTE = (
    Form(" (of the text)", rf"{MARKS}\([^()\d%\n]{{0,60}}\){_BEFORE_IS}", ":"),
    Form(
        " for this text",
        rf"{MARKS}(?:for|of\sth(?:is|e)(?=\s(?:text|document|extract|excerpt|passage)))\s[^:=.\d\n]{{1,60}}{_BEFORE_IS}",
        ":",
    ),
)
_MENTION = any_of(*MENTION)
STATED_SCALE = (  # anywhere in a reply
    Form(
        "Scale: 1-10",
        rf"^[^\w\n]{{0,8}}(?:(?:rating|score|scoring)\s)?scale[^\w\n]{{1,6}}(?:{_FROM})?(?P<alone>\d{{1,4}})"
        r"(?:\s?points?)?[^\w\n]{0,8}$",
    ),
    Form(
        "rated from 1 (worst) to 10",
        r"\b(?:rat|scor|grad|judg|mark)(?:e|ed|es|ing)\b[^.\n\d]{0,40}?\bfrom\s+\d{1,2}(?:\s*\([^()\n]{0,30}\))?\s+to\s+"
        r"(?P<rated>\d{1,4})",
    ),
    Form(
        "I rate on a scale from 1 to 10",
        rf"\b(?:I|we|rat(?:ed|ing))\b[^.\n\d]{{0,40}}\bon\s+an?\s+scale\s+(?:of|from)\s+(?:{_FROM})?(?P<mine>\d{{1,4}})",
    ),
    Form(
        "scale of 1 to 10: ",
        rf"\bscale\s+(?:of|from)\s+(?:{_FROM})?(?P<before>\d{{1,4}})[^\w\n]{{0,8}}(?:(?:my|the)\s)?(?={_MENTION.pattern})",
        "Final score",
    ),
    Form(
        "Out of 10, ",
        rf"\bout\s+of\s+(?P<out>\d{{1,4}}|{'|'.join(NAMES)})[^\w\n]{{1,8}}(?:(?:my|the)\s)?(?={_MENTION.pattern})",
        "Final score",
    ),
    Form(
        "scale of 1 to 10",
        rf"\bscale\b[^.\n\d]{{0,30}}?{_FROM}(?P<scaled>\d{{1,4}})(?![\w%]|[.,]\d)",
    ),
    Form("10-point scale", rf"\b(?P<point>\d{{1,4}}|{'|'.join(NAMES)})[\s-]{{0,2}}point\s+scale\b"),
    Form("Scale: 0 = worst, 10 = best", r"\bscale\b[^\n]{0,40}?\b(?P<best>10|20|50|100)\s?(?:=|is)\s?(?:the\s)?\w+"),
    Form(
        "scores are out of 10",
        r"\b(?:scores?|ratings?|points|marks|scored|graded|rated)\b[^.\n\d]{0,30}?\bout\s+of\s+(?P<of_all>\d{1,4})",
    ),
    Form(
        "Maximum score: 10",
        r"\b(?:scale_)?max(?:imum|\.)?(?:[_ \t-]{0,2}(?:possible|score|points?|value|total)){0,3}\W{1,6}"
        r"(?P<most>\d{1,4})\b",
    ),
    Form(
        "1 bis 10",
        r"(?<![\d.,])[01]\s?(?:[\u2010-\u2015-]|to|bis|\u00e0|a|al|\u0434\u043e|do|(?:\([^()\n]{1,30}\)\s+)?to)\s?(?P<top>10|20|50|100)(?![\d%]|[.,]\d)",
    ),
    Form("/10", r"(?:/|out\s+of:?)\s?(?P<over>10|20|50|100)(?![\d%]|[.,]\d)"),
    Form("total of 10", r"\btotal\s+(?:of|possible)\W{1,3}(?P<total>10|20|50|100)(?![\d%]|[.,]\d)"),
    Form("possible score: 10", r"\bpossible\s+(?:score|points?|total)\W{1,4}(?P<highest>10|20|50|100)(?![\d%]|[.,]\d)"),
    Form(
        "10 being",
        r"(?<![\d.,])(?P<being>10|20|50|100)\s+(?:being|is\s+(?:the\s+)?(?:best|highest|top|max\w*|perfect))\b",
    ),
    Form("10\u70b9\u6e80\u70b9", r"(?P<full>10|20|50|100)\s?(?:\u70b9\u6e80\u70b9|\u5206\u6ee1\u5206)"),
    Form("\u6ee1\u520610", r"(?:\u6ee1\u5206|\u6e80\u70b9)\s?(?P<filled>10|20|50|100)"),
    Form("0 is best", r"(?<![\d.,/])(?P<least>0)\s*(?:is|=|being)\s*(?:the\s+)?(?:best|perfect|highest)\b"),
    Form("out_of: 10", r"\bout_of\W{1,6}(?P<key>\d{1,4})\b"),
    Form("points_possible: 10", r"\b(?:points?|score)_possible\W{1,6}(?P<possible>\d{1,4})\b"),
)
SCALE_BEFORE, _NOTE, _STATED_SCALE = any_of(*SCALE), any_of(*NOTE), any_of(*STATED_SCALE)
SCORE = re.compile(IS, re.IGNORECASE)
_OPENING = re.compile(OPENING)
_SIGN = re.compile(rf"[:=][ \t*_]*{DASH}[ \t]+\Z")
_TOTAL = re.compile(  # up to the number of another statement of the score
    r"^[^\w\n]{0,8}(?:(?:overall|total|my)[\s*_]{1,4})?(?:score|rating|total|overall|points|sum|\u6700\u7ec8\u5f97\u5206|\u603b\u5206|\u5f97\u5206)"
    r"(?=[\s*_]{0,6}[:=])"
    r"|\badding\s+[^.\n\d]{0,30}?(?=[:=])"
    r"|\b(?:total|sum|the\s+score|total\s+score|overall\s+score)(?=\s+(?:is|was|of)\b)"
    r"|\b(?:comes|adds\s+up|amounts)\s+to\s+(?:an?\s+)?"
    r"|\bI(?:'d|\s+would)?\s+(?:rate|give|award|score|assign)\s+(?:it|this|the)\s*(?:text|document|extract|passage)?\s+(?:an?\s+)?(?=\W{0,3}\d)",
    re.IGNORECASE | re.MULTILINE,
)
_STATEMENT_ENDS = re.compile(rf"{AFTER}\s{{0,4}}(?:[.,;!)\n|]|$)", re.MULTILINE)


def _final_scores(text: str) -> Iterator[Place]:
    stated = [value_of(next(filter(None, one.groups()))) for one in _STATED_SCALE.finditer(text)]
    return _final_scores_of(text, next((one for one in stated if one != HIGHEST_SCORE), HIGHEST_SCORE))


def _final_scores_of(text: str, highest: float = HIGHEST_SCORE) -> Iterator[Place]:
    for mention in _MENTION.finditer(text):
        scale = SCALE_BEFORE.match(text, mention.end())
        found = _final_score(text, mention, scale.end(), int(scale["of"])) if scale else None
        if found := found or _final_score(text, mention, mention.end(), highest):
            yield found


def _totals(text: str) -> Iterator[Place]:
    """Totals and ratings that a reply states in other words, which may say something else than the final score."""
    for leads in _TOTAL.finditer(text):
        separator = SCORE.match(text, leads.end())
        begins = separator.end() if separator else leads.end()
        number = number_at(text, begins)
        if number and number.value is not None and _STATEMENT_ENDS.match(text, number.ends):
            words = " ".join(text[leads.start() : number.ends].split())
            yield Place(WrittenVerdict(words, number.value, beside=True), leads.start(), begins, number.ends)


def _scores_and_totals(text: str) -> Sequence[Place]:
    return sorted((*_final_scores(text), *_totals(text)), key=lambda place: place.begins)


def _final_score(text: str, mention: re.Match[str], end: int, scale: float) -> Place | None:
    note = _NOTE.match(text, end)
    separator = SCORE.match(text, note.end() if note else end)
    begins = separator.end() if separator else end
    if (number := number_at(text, begins, scale)) is None:
        return None
    words = " ".join(text[mention.start() : number.ends].split())
    if _SIGN.search(text, mention.end(), begins):
        return Place(WrittenVerdict(words, None, f"{words!r} may have a sign"), mention.start(), begins, number.ends)
    reason = number.reason and f"the final score {number.reason}"
    verdict = WrittenVerdict(words, number.value, reason, beside=not _is_final(mention))
    return Place(verdict, mention.start(), begins, number.ends)


def _is_final(mention: re.Match[str]) -> bool:
    """A revised score is none by itself: it takes back a final one."""
    return "final" in mention[0].lower()


def score_of_json(text: str) -> Place | None:
    opening = _OPENING.match(text)
    begins = opening.end() if opening else 0
    if (number := number_at(text, begins)) is None:
        return None
    reason = number.reason and f"the final score {number.reason}"
    return Place(WrittenVerdict(f"score: {number.words}", number.value, reason), 0, begins, number.ends)


class FinalScore:
    """A whole number from 0 to 5, as in `Final score: 4`, `**Final score:** 4/5`, `Final score is four`."""

    answers: Sequence[str] = tuple(f"Final score: {score}" for score in range(HIGHEST_SCORE + 1))
    version = "5"
    grammar = Grammar(
        _scores_and_totals, _final_scores_of, other_numbers, frozenset({"finalscore"}), score_of_json, RATINGS
    )

    def parse(self, reply: str) -> Parsed:
        """The score on which all final scores of the reply agree."""
        mentioned = "no number after" if any(map(_is_final, _MENTION.finditer(reply))) else "does not say"
        return self.grammar.parse(reply, f"{mentioned} 'Final score:'")

    def claims(self, document: str) -> Sequence[float | None]:
        return self.grammar.claims(document)
