"""What of a reply is the answer: the model's own turn, after its thinking and up to the turn's end.

    reply    = {start of turn} {thought | answer} [end of turn, and whatever follows]
    thought  = "<think>" … "</think>", and the other marks of _TAGS and _OPENS; the first mark may be missing, because
               many chat templates write it into the prompt
    end      = "<|im_end|>", "<|eot_id|>", "</s>", "<end_of_turn>", "[INST]", and whatever else looks like them

A thought that is not closed, or after which nothing is said, is no answer: the model was still weighing what it says.
"""

import re
from dataclasses import dataclass

_TAGS = "think|thinking|thoughts?|reasoning|scratchpad|seed:think"
_CHANNEL = r"<\|channel\|>\s*+%s\b[^<>|]{0,80}+<\|message\|>"  # gpt-oss names the channel of each message
_BAR = r"[|\uff5c]"  # DeepSeek writes the bars wide
_MARK = re.compile(
    rf"(?P<channel>{_CHANNEL % '(?:analysis|commentary)'})"
    rf"|(?P<opens><(?:{_TAGS})\s*>|\[THINK\]|\u25c1think\u25b7|<\|(?:(?:begin|start)_(?:of_)?)?(?:{_TAGS})\|>"
    rf"|<\|inner_prefix\|>|<\|channel>\s*(?:{_TAGS}|analysis)\b|<\|im_start\|>\s*(?:{_TAGS})\b"
    r"|\A\s*analysis(?=(?s:.)*?assistantfinal))"
    rf"|(?P<closes></(?:{_TAGS})\s*>|\[/THINK\]|\u25c1/think\u25b7|<\|(?:/|end_(?:of_)?)(?:{_TAGS})\|>"
    rf"|<\|inner_suffix\|>|<channel\|>|assistantfinal|{_CHANNEL % 'final'})"
    r"|(?P<turn>(?:<\|(?:im_start|start_header_id|start)\|>|<start_of_turn>|<\|turn>)\s*(?:assistant|model)(?:<\|(?:end_header_id|header_end)\|>)?"
    rf"|<{_BAR}(?!(?:begin|end)_of_box)[^<>\s|\uff5c]{{1,40}}{_BAR}>|<\|turn>|<turn\|>|\[\|[a-z_]{{1,40}}\|\]|</?s>|<(?:bos|eos|pad)>|<(?:start|end)_of_turn>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)


_STRUCK = re.compile(r"<s>([^<>\n]{1,200})</s>(?=\s*\S)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Turn:
    """The `answer` of a reply; where there is none it is empty, and `reason` says why.

    `ended`: the reply holds the end of the turn, so that the answer is whole even if the reply was cut off later.
    """

    answer: str
    reason: str = ""
    ended: bool = False


def turn_of(reply: str) -> Turn:
    """The model's own turn in a reply."""
    said: list[str] = []
    if _STRUCK.search(reply):  # a score that is struck out beside another: `<s>` opens no turn here
        reply = _STRUCK.sub(r" \1 ", reply)
    begins, thought = 0, ""  # the kind of the mark that opened the thought
    thinks, ended = False, False
    for mark in _MARK.finditer(reply):
        kind = mark.lastgroup
        if kind == "closes":
            if not thought:
                said.clear()  # its first mark stood in the prompt
            begins, thought, thinks = mark.end(), "", True
        elif kind in ("opens", "channel"):
            if not thought:
                said.append(reply[begins : mark.start()])
            thought, thinks = kind, True
        elif not thought:
            said.append(reply[begins : mark.start()])
            begins = mark.end()
            if ended := bool("".join(said).strip()):
                break
            said.clear()
        elif thought == "opens":  # a channel's messages end in such marks themselves
            break
    if thought:
        return Turn("", "thinking not closed")
    answer = "".join(said if ended else [*said, reply[begins:]])
    if answer.strip():
        return Turn(answer, ended=ended)
    return Turn("", "the reply ends with its thinking" if thinks else "the reply is empty")
