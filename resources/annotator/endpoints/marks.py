"""Marks of chat templates in a document: they are broken up, because a document is data.

A server renders the template and tokenizes the whole, so that `<|im_end|>` in a document would end the user's turn and
let the document speak for itself. A space behind the first character makes it ordinary text for every tokenizer.
"""

import re

MARKS = re.compile(
    r"<(?=[|\uff5c][^<>\s]{1,40}[|\uff5c]>)"  # <|im_end|>, <|eot_id|>; DeepSeek writes the bars wide
    r"|<(?=/?s>|(?:bos|eos|pad|unk)>|(?:start|end)_of_turn>)"  # Llama 2, Mistral, Gemma
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)


def without_marks(text: str) -> str:
    return MARKS.sub(lambda mark: mark.group() + " ", text)
