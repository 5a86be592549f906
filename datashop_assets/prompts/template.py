"""Text with `{example}` where the document goes. Every other brace in it is just text."""

EXAMPLE = "{example}"


def holds_example_once(text: str) -> str:
    """`text`, if `{example}` stands in it exactly once. All other braces are just text."""
    if (count := text.count(EXAMPLE)) != 1:
        raise ValueError(f"holds {EXAMPLE} {count} times; put it exactly once, where the document goes")
    return text


def holds_no_example(text: str) -> str:
    """`text`, if `{example}` does not stand in it: what it goes with says where the document goes."""
    if EXAMPLE in text:
        raise ValueError(f"holds {EXAMPLE}, which stands in the question or rubric; remove it here")
    return text


def fill(template: str, text: str) -> str:
    """The template with the document in place of `{example}`, both taken literally."""
    before, after = template.split(EXAMPLE)
    return before + text + after
