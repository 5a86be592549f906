"""What may stand behind a verdict, so that it counts.

    rest     = [clause] {sentence}
    clause   = the end of the sentence or line, or what begins with a mark or a reason: ", (", "-", "because ...".
               Outside of a reason it holds no doubt ("maybe", "if"), and nowhere another score
    sentence = words without another score. A number is one where it stands alone: not in "3 examples", "1 point for
               it", "chapter 2", "1 + 1", "2. An item", "4 is too much", nor for a part of the text ("- Depth: 1")

A reply that is refused here may still have meant its verdict. Nobody can tell, so that it gets its second try.
"""

import re
from collections.abc import Callable, Iterator

from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import AFTER, DASH, NAMES, NO_COUNT

_REST, _SHOWN = 4000, 60  # characters: after a verdict, of a reason

CLAUSE = (  # how what follows a verdict may begin
    Form("\n", r"\s*?(?:\n|$)"),
    Form(".", r"[.!;\u3002\u3001\uff01](?!\d)"),
    Form(",", r"[ \t]{0,4}[,:](?!\d)"),
    Form(" (", r"[ \t]{0,4}[(\[]"),
    Form(" -", rf"[ \t]{{0,4}}(?:{DASH}{{1,3}}|\u2192|=>|\|)(?=[\s*_|]|$|[^\W\d])", " on topic"),
    Form(
        " because",
        r"[ \t]*(?<=[ \t])(?:because|since|as|given|due\s+to|considering|for|based\s+on|(?:to|of)\s+th(?:is|e))\b",
    ),
    Form("<", r"[ \t]{0,4}(?:<|\\)"),
)
REASON = (
    Form(", because", rf"[ \t]{{0,4}}(?:[,;(.]|{DASH}{{1,2}})?[ \t]{{0,4}}(?:because|since|as|given|due\s+to)\b"),
)
DOUBT = (  # in the clause
    Form("if", r"\b(?:if|unless|assuming|provided|supposing|hypothetically|in\s+theory)\b"),
    Form("maybe", r"\b(?:maybe|perhaps|possibly|probably|presumably|arguably|tentative(?:ly)?|borderline|unsure)\b"),
    Form("almost", r"\b(?:almost|nearly|at\s+(?:most|least|best|worst|a\s+(?:push|stretch))|or\s+so)\b"),
    Form("not sure", r"\bnot\s+(?:really|quite|sure|final|certain|definitive|an?\s+(?:final|real))\b"),
    Form("kidding", r"\b(?:kidding|joking|joke|placeholder|guess|example|dummy|instead)\b"),
    Form("?", r"\?"),
)
_CLAUSE, _REASON, _DOUBT = any_of(*CLAUSE), any_of(*REASON), any_of(*DOUBT)
_AFTER = re.compile(
    rf"{AFTER}(?:[ \t]?\b(?:punkten?|puntos?|pontos?|punti|punten|балл\w{{0,3}}|pkt)\b)?", re.IGNORECASE
)
_ENDS = re.compile(r"(?<!\be\.g)(?<!\bi\.e)[.!?;](?=\s|$)|\n")

_NUMBER = re.compile(
    r"(?<![\w.,/+\u00d7])(?<!\w[-\u2010-\u2015])(?P<value>\d{1,2}|(?P<name>zero|two|three|four|five)(?!-)|"
    r"(?P<one>one)(?=\s*(?:[.,;!?)\n]|$|would\b|may\b|seems\b|fits\b)))(?:\.0)?"
    r"(?:\s?(?:/|out\s+of)\s?(?P<of>\d{1,3}))?(?![\w/%]|[.,:\u00b7]\d)",
    re.IGNORECASE,
)
NUMBERED = (  # right before a number that is no score
    Form(
        "chapter ",
        r"\b(?:chapters?|sections?|figures?|pages?|steps?|lines?|grades?|levels?|class(?:es)?|parts?|tables?|items?|"
        r"points?|criteri(?:on|a)|questions?|exercises?|equations?|paragraphs?|years?|units?|lessons?|volumes?|types?|"
        r"phases?|stages?|rules?|laws?|theorems?|numbers?|no\.|ages?|days?|weeks?|months?)[ \t]{1,2}",
    ),
    Form("+ ", r"[+\u00d7*][ \t]{1,2}"),
    Form("not a ", r"(?:\b(?:not|never|above|below|than)|n't)\s(?:(?:quite|yet|even)\s)?(?:an?\s)?\W{0,3}"),
    Form(
        "\n- Depth: ",
        r"\n[^\w\n]{0,12}(?:[^\w\n]|\d{1,2}[.)])[^\w\n]{0,12}(?:(?!\b(?:final|overall|total|scores?|rating|grade|verdict|label|answer|revised|"
        r"correct(?:ed|ion)?|edit|actually|sum)\b)[^\n\d:=(]){1,60}[:=(][ \t*_(]{0,6}",
    ),
)
_VERBS = (  # "2 fits better"
    "points?|pts?|stars?|marks?|are|were|fits?|suits?|works?|matches|reflects?|represents?|describes?|applies|becomes?|"
    "makes?|counts?|looks?|sounds?|captures?|should|must|will|can|has|does|for|"
    "as|by|here|instead|again|now|please|too|also|then|this|that|it"
)
COUNTS = (  # right behind one
    Form(" examples", rf"[ \t]+(?!(?:{NO_COUNT}|{_VERBS})\b)[^\W\d_]{{2,}}"),
    Form(" points for", rf"[ \t]+(?:points?|pts?)[ \t]*(?:(?:for|to|each|more|added|deducted|off)\b|[:(]|{DASH})"),
    Form(" + 1", r"[ \t]{0,2}[+\u00d7][ \t]{0,2}\d"),
    Form(" would be too", r"[ \t]+(?:is|was|would\s+be|seems)\s+(?:(?:far|much|a\s+bit)\s+)?too\b"),
)
_NUMBERED = re.compile(rf"(?:{'|'.join(form.pattern for form in NUMBERED)})\Z", re.IGNORECASE)
_COUNTS = any_of(*COUNTS)
_ITEM_BEGINS, _ITEM = re.compile(r"\n[^\w\n]{0,12}\Z"), re.compile(r"[ \t*_]{0,4}[.):](?!\d)")
_LABEL = re.compile(r"(?<![\w-])(?-i:Great|Good|Okay|OK|Poor|Useless)(?=[\s*_`\"'\u201d)\]]{0,8}(?:[.,;!|\n]|$))")
_SAID_LABEL = re.compile(
    r"(?:\b(?:to|is|be|only|say|as|it|just|becomes|earns)|'s)\s+(?:only\s+|just\s+|at\s+best\s+)?\W{0,3}(?P<label>great|good|okay|ok|poor|useless)"
    r"(?=[\s*_`\"'\u201d)\]]{0,8}(?:[.,;!|\n]|$))",
    re.IGNORECASE,
)
_NO_LABEL = re.compile(r"\b(?:not|never|nor|than|n't)(?:\s+an?)?\W{1,4}\Z", re.IGNORECASE)

Others = Callable[[str], Iterator[tuple[re.Match[str], float]]]


def other_numbers(text: str) -> Iterator[tuple[re.Match[str], float]]:
    """Numbers up to 99 that stand alone, each with its value on a scale to 5; names in digits' place alone."""
    for found in _NUMBER.finditer(text):
        before = text[max(0, found.start() - 90) : found.start()]
        if _NUMBERED.search(before) or _COUNTS.match(text, found.end()):
            continue
        if _ITEM_BEGINS.search(before) and _ITEM.match(text, found.end()):
            continue
        name = (found["name"] or found["one"] or "").lower()
        value = NAMES.index(name) if name else int(found["value"])
        highest = int(found["of"] or 5)
        if value <= max(5, highest if found["of"] else 0):
            yield found, value * 5 / highest if highest else -1.0


def other_labels(scores: Callable[[str], float]) -> Others:
    """Capital labels at the end of a clause, and others that are said of something; each with its score."""

    def labels(text: str) -> Iterator[tuple[re.Match[str], float]]:
        for found in _LABEL.finditer(text):
            if not _NO_LABEL.search(text[max(0, found.start() - 20) : found.start()]):
                yield found, scores(found[0])
        for found in _SAID_LABEL.finditer(text):
            yield found, scores(found["label"])

    return labels


def refusal(text: str, ends: int, until: int, score: float, others: Others) -> str:
    """Why the verdict that ends at `ends` does not count for what follows it up to `until`; empty where it does."""
    ends = _AFTER.match(text, ends).end()  # type: ignore[union-attr]  # it matches nothing, too
    rest = text[ends : min(until, ends + _REST)]
    stop = _ENDS.search(rest)
    clause = rest[: stop.end() if stop else len(rest)]
    if not _CLAUSE.match(text, ends):
        return f"is followed by {_shown(clause)}"
    if not _REASON.match(clause) and (doubt := _DOUBT.search(clause)):
        return f"is doubted: {_shown(clause[: doubt.end()])}"
    return next(
        (f"is followed by another: {_shown(_sentence(rest, one))}" for one, at in others(rest) if at != score), ""
    )


def _sentence(text: str, found: re.Match[str]) -> str:
    begins = max((one.end() for one in _ENDS.finditer(text, 0, found.start())), default=0)
    return text[begins : found.end()]


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"…{line[-_SHOWN:]}")
