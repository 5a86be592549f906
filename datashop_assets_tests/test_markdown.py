"""What others wrote, shown in the UI and in a terminal: it is seen as it is and does nothing there."""

from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.markdown import Sample, one_line


@given(st.text(max_size=1000))
def test_whatever_is_printed_is_one_line_of_signs(text: str) -> None:
    shown = one_line(text)
    assert shown.splitlines() in ([], [shown])
    assert not {"\x1b", "\x07", "\x9b", "\u202e"}.intersection(shown)
    assert len(shown) <= 6 * 301


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert one_line("a\x1b]0;title\x07b\r\n\u202ec") == r"a\u001b]0;title\u0007b \u202ec"


def test_a_sample_is_a_table_in_the_ui_and_lines_in_a_terminal() -> None:
    long = "word " * 20
    sample = Sample(columns=("id", "reply"), rows=(("d|1", long), ("d\x1b2", "no")))
    assert sample.markdown().splitlines()[2:] == [rf"| d\|1 | {long.strip()} |", r"| d\\u001b2 | no |"]
    assert sample.lines() == ["id d|1", f"  reply: {long.strip()}", r"id d\u001b2, reply no"]
