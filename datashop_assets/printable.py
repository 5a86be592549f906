"""Text of others on its way to a terminal: a server's words, a document, a prompt, the name of a file.

A terminal obeys what it is sent: escape sequences move the cursor, set the clipboard or answer as if a person typed,
and marks of writing direction show a text in another order than it has.
"""

import re

# C0 without tab and line feed, delete, C1 (one byte of it begins a sequence as ESC [ does), marks of direction, lone
# surrogates, which UTF-8 does not have
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""`text` with what a terminal would obey written out, as in `\u001b`. JSON stays the same JSON."""
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def printable_line(text: str) -> str:
    r"""The same for what stands on one line: every character that is not printable is written out, `\n` too."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    )
