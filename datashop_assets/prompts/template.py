"""Text with `{example}` where the document goes. Every other brace in it is just text."""

from typing import Annotated

from pydantic import AfterValidator

EXAMPLE = "{example}"


def fill(template: str, text: str) -> str:
    """The template with the document in place of `{example}`, both taken literally."""
    before, after = template.split(EXAMPLE)
    return before + text + after


def holds_example_once(text: str) -> str:
    """`text`, if `{example}` is in it exactly once."""
    if (count := text.count(EXAMPLE)) != 1:
        raise ValueError(f"holds {EXAMPLE} {count} times; put it exactly once, where the document goes")
    return text


def holds_no_example(text: str) -> str:
    """`text`, if `{example}` is not in it: the question or rubric that it goes with has the document already."""
    if EXAMPLE in text:
        raise ValueError(f"holds {EXAMPLE}, which belongs to the question or rubric; remove it here")
    return text


Template = Annotated[str, AfterValidator(holds_example_once)]
AnswerBeginning = Annotated[str, AfterValidator(holds_no_example)]  # what the assistant's turn begins with
