"""The words around documents and descriptions: what is asked of the annotator that writes a rubric, and the rubric."""

from collections.abc import Mapping

from datashop_assets.excerpts import excerpt
from datashop_assets.prompts.template import EXAMPLE

DESCRIBE = f"""Read the text between the lines.

----- text -----
{EXAMPLE}
----- end of text -----

Describe, in at most 150 words, what kind of text this is and what somebody can learn from it: its subject, the \
knowledge and skills that it asks for and trains, its form (such as explanation, worked example, problem, proof, \
reference, code) and its level. Write for a person who will look for other texts of the same use. Do not retell the \
text, and name nothing that only this one text holds."""

MERGE = f"""Here are two descriptions of texts that are wanted for the same purpose.

{EXAMPLE}

Write one description, in at most 200 words, that covers the texts of both. Keep every subject, skill, form and level \
that either of them names; say once what they share. Write the description only."""

BEFORE = """You choose texts from which a language model learns. Texts of use are those from which it learns what \
these texts teach:

"""

AFTER = f"""

Read the text between the lines, and judge how much of that a model would learn from it.

----- text -----
{EXAMPLE}
----- end of text -----

Choose one label:

- Great: teaches much of what is described above, correctly and clearly.
- Good: teaches some of it well.
- Okay: touches it; something can be learnt.
- Poor: hardly touches it, or only names it.
- Useless: has nothing to do with it, or is no readable text.

Give your reasons in at most 60 words. Then write the label on a line of its own: "Label: L"."""


def pair(first: str, second: str) -> str:
    """Two descriptions as one text to merge."""
    return f"Description 1:\n{first}\n\nDescription 2:\n{second}"


def wrapped(descriptions: Mapping[str, str], characters: int) -> str:
    """The rubric: every set's description, each with the same room of `characters`, and the labels.

    A description is text: the mark where the document goes, should one hold it, is broken up.
    """
    room = characters // len(descriptions)
    kinds = [
        f"{_text(name)}: " * (len(descriptions) > 1) + _text(excerpt(text, room)[0])
        for name, text in descriptions.items()
    ]
    return BEFORE + "\n\n".join(kinds) + AFTER


def _text(description: str) -> str:
    return description.replace(EXAMPLE, "{ example }")
