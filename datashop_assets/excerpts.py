"""The part of a document that annotator and encoder read: one rule for both, so that neither sees more."""


def excerpt(text: str, characters: int) -> tuple[str, bool]:
    """The first `characters` characters of `text`, and whether that is less than all of it."""
    return (text, False) if len(text) <= characters else (text[:characters], True)
