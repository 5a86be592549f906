"""What may stand behind a verdict, so that it counts: nothing, or an explanation.

    rest   = [clause] {sentence}
    clause = the end of the sentence or line, or what begins with a mark or a reason: ", (", "-", "because ..."

An explanation speaks of the text. Where clause or sentences speak of scores, take something
back, set a condition, tell of somebody else's wish, or hold another number up to ten or another label, the verdict is
refused: it may have been taken back, and there are more ways to do so than can be listed. Such a reply may still have
meant its verdict. Nobody can tell, so that it gets its second try. Rubrics that ask for the score at the end see few.
"""

import re
from collections.abc import Callable, Iterator

from datashop_assets.asking.forms import Form, any_of
from datashop_assets.asking.number_forms import AFTER, DASH, HIGHEST_SCORE, NAMES

_SHOWN = 60  # characters of a reason

CLAUSE = (  # how what follows a verdict may begin
    Form("\n", r"\s*?(?:\n|$)"),
    Form(".", r"[.!;\u3002\u3001\uff01](?!\d)"),
    Form(",", r"[ \t]{0,4}[,:](?!\d)"),
    Form(" (", r"[ \t]{0,4}[(\[]"),
    Form(" -", rf"[ \t]{{0,4}}(?:{DASH}{{1,3}}|\u2192|=>|\|)(?=[\s*_|]|$|[^\W\d])", " on topic"),
    Form(
        " because it",
        r"[ \t]*(?<=[ \t])(?:(?:because|since|as)\s+(?:it|this|there|the\s+text)|given|due\s+to|considering|based\s+on|"
        r"(?:for|to|of)\s+th(?:is|e)\s+(?:text|document|extract|excerpt|passage|article|page|piece)|here)\b",
    ),
    Form("<", r"[ \t]{0,4}(?:<|\\)"),
)
NO_EXPLANATION = (
    Form("score", r"(?<!\w)(?:scor(?:e[sd]?|ing)|rat(?:e[sd]?|ings?)|points?|pts|marks?|grad(?:e[sd]?|ing))(?!\w)"),
    Form("total", r"(?<!\w)(?:labels?|verdicts?|totals?|stars?|scales?|overall|result|summary)(?!\w)"),
    Form("minus", r"\b(?:deduct\w*|subtract\w*|bonus\w*|penal\w*|minus|plus|half|lower|higher|lowest|highest)\b"),
    Form("deserves", r"\b(?:deserv\w*|earn(?:s|ed)?|merit(?:s|ed)?|awards?|awarded|gets)\b"),
    Form(
        "Actually", r"\b(?:actually|wait|hm+|oops|sorry|apolog\w*|no,|instead|rather|fairer|ignore|disregard|scratch)\b"
    ),
    Form("On reflection", r"\bon\s+(?:\w+\s+){0,2}(?:reflection|thoughts?|review|look|reading|inspection)\b"),
    Form(
        "reconsider",
        r"\b(?:re-?(?:consider|evaluat|assess|check|count|calculat|think|visit)\w*|double-?check\w*|revis\w*|correct(?:ion|ed)|"
        r"retract\w*|updat\w*|edit(?:ed)?|back)\b",
    ),
    Form("mistake", r"\b(?:mistak\w*|wrong|miscount\w*|misread\w*|jok(?:e|ing)|kidding|placeholder|guess\w*|random)\b"),
    Form("too high", r"\btoo\s+(?:high|low|kind|much|good|bad|strict|lenient|generous|harsh|many|few)\b"),
    Form("generous", r"\b(?:generous|harsh|lenient|strict)(?:ly)?\b"),
    Form(
        "if",
        r"\b(?:if|unless|assum\w*|suppos\w*|provided|once|would|could|might|should|hypothetical\w*|depend\w*|fix\w*)\b",
    ),
    Form(
        "maybe",
        r"\b(?:maybe|perhaps|possibly|probably|presumably|arguably|approximate\w*|roughly|tentative\w*|preliminary|provisional|"
        r"borderline|unsure|uncertain|nearly|almost|ideal|estimat\w*|sample|illustration|subject\s+to|or\s+so)\b",
    ),
    Form("(best", r"\((?:the\s+)?(?:best|worst|perfect|highest|lowest)\b"),
    Form("at most", r"\bat\s+(?:most|least|best|worst|a\s+(?:push|stretch))\b"),
    Form("not sure", r"\bnot\s+(?:really|quite|sure|final|certain|definitive)\b"),
    Form(
        "instructed", r"\b(?:instruct\w*|claim\w*|insist\w*|manipulat\w*|injection|wants\s+me|asks?\s+me|told\s+to)\b"
    ),
    Form(
        "by the author)",
        r"\b(?:by|as|that)\s+(?:is\s+what\s+)?(?:the\s+)?(?:text|author|document|writer)(?:\s+(?:says|wants)|\))",
    ),
    Form(
        "\u5206",
        r"[\u5206\u70b9\u9ede\u8a55\u8bc4\uc810]|\u66f4\u6b63|\u8a02\u6b63|\u5e94\u8be5|\u61c9\u8a72|\u5b9e\u9645|\u5176\u5b9e|\u7b49\u7b49",
    ),
    Form(
        "Punkte",
        r"\b(?:punkt\w*|puntos?|pontos?|punti|korrektur|correcci\u00f3n|eigentlich|moment|\u0431\u0430\u043b\u043b\w*)\b",
    ),
    Form("?", r"\?"),
)
_CLAUSE, _NO_EXPLANATION = any_of(*CLAUSE), any_of(*NO_EXPLANATION)
_AFTER = re.compile(
    rf"{AFTER}(?:[ \t]?\b(?:punkten?|puntos?|pontos?|punti|punten|балл\w{{0,3}}|pkt)\b)?{AFTER}"
    r"(?:[ \t]{0,4}[\u2600-\u2604\u2607-\u27bf\U0001f300-\U0001faff]\ufe0f?)?[ \t]{0,4}",
    re.IGNORECASE,
)
_SENTENCE_ENDS = re.compile(r"[.!?;](?=\s|$)|\n|\u3002")

_NUMBER = re.compile(
    r"(?<![\d.,])(?P<value>\d{1,2})(?P<part>[.,]\d)?(?:\s?(?:/|out\s+of)\s?(?P<of>\d{1,3}))?(?!\d)"
    r"|\b(?P<name>zero|two|three|four|five)\b|(?P<stars>[\u2605\u2606\u2b50]+)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\n[^\w\n]{0,12}\d{1,2}[.)](?=\s)")
_LABEL = re.compile(r"(?<![^\W_])(?:great|good|okay|ok|poor|useless)(?![^\W_])", re.IGNORECASE | re.ASCII)

Others = Callable[[str], Iterator[tuple[re.Match[str], float]]]


def other_numbers(text: str) -> Iterator[tuple[re.Match[str], float]]:
    """Numbers up to ten, each with its value; -1 of what is no whole number, or on another scale. Years are none."""
    items = {found.end() for found in _ITEM.finditer(text)}
    for found in _NUMBER.finditer(text):
        if found["stars"] or found["part"]:
            yield found, -1.0
        elif found["name"]:
            yield found, float(NAMES.index(found["name"].lower()))
        elif found.end("value") + 1 not in items and (found["of"] or int(found["value"]) <= 10):
            yield found, float(found["value"]) if int(found["of"] or HIGHEST_SCORE) == HIGHEST_SCORE else -1.0


def other_labels(scores: Callable[[str], float]) -> Others:
    """Labels in any case, each with its score, and numbers."""

    def others(text: str) -> Iterator[tuple[re.Match[str], float]]:
        for found in _LABEL.finditer(text):
            yield found, scores(found[0])
        yield from other_numbers(text)

    return others


def refusal(text: str, ends: int, until: int, score: float, others: Others) -> str:
    """Why the verdict that ends at `ends` does not count for what follows it up to `until`; empty where it does."""
    ends = _AFTER.match(text, ends).end()  # type: ignore[union-attr]  # it matches nothing, too
    rest = text[ends:until]
    stop = _SENTENCE_ENDS.search(rest)
    clause = rest[: stop.end() if stop else len(rest)]
    if not _CLAUSE.match(text, ends):
        return f"is followed by {_shown(clause)}"
    found = _NO_EXPLANATION.search(rest) or next((one for one, value in others(rest) if value != score), None)
    return f"is followed by {_shown(_sentence(rest, found))}" if found else ""


def _sentence(text: str, found: re.Match[str]) -> str:
    begins = max((one.end() for one in _SENTENCE_ENDS.finditer(text, 0, found.start())), default=0)
    return text[begins : found.end()]


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"…{line[-_SHOWN:]}")
