"""Replies and how they are read: the cases of `test_processors` and the page `docs/replies.md`."""

from datashop_assets.protocols.processor import Parsed
from datashop_assets_tests.handled_inputs import Example, Page, Table


def scores(given: str, score: int) -> Example[Parsed]:
    return Example(given, Parsed(score), f"**{score}**")


FORMS = Table(
    "Forms of a score",
    "The number stands behind `Final score:`, in whatever marks a model puts around it.",
    (
        scores("Final score: 4", 4),
        scores("**Final score:** 4/5", 4),
        scores("Final Score is four.", 4),
        scores(r"**Final score:** $\boxed{3}$", 3),
        scores("## Final Score\n2 points", 2),
        scores("FINAL SCORE: [1]", 1),
    ),
    ("reply", "score"),
)

REPLIES = Page(
    "replies.md",
    "Replies",
    "How the processors that come with Datashop read what a model writes.",
    (FORMS,),
    "datashop_assets_tests/asking/reply_examples.py",
)
