from hypothesis import given
from hypothesis import strategies as st

from mmload.show.answer_texts import shortened


def test_short_answers_are_shown_whole_and_their_line_breaks_written_out():
    assert shortened("one\ntwo", "one\\two", 20) == ("one\\ntwo", "one\\\\two")


def test_of_long_answers_the_part_is_shown_in_which_they_differ():
    same = "the same words " * 20
    expected, given = shortened(f"{same}red{same}", f"{same}blue{same}", 40)
    assert (len(expected), expected[0], expected[-1]) == (40, "…", "…")
    assert "red" in expected
    assert "blue" in given


texts = st.text(max_size=300)


@given(texts, texts, texts, st.integers(12, 200))
def test_what_is_shown_is_no_wider_than_asked_and_holds_the_first_difference(same, one, other, width):
    shown = shortened(f"{same}a{one}", f"{same}b{other}", width)
    assert max(map(len, shown)) <= width
    assert shown[0] != shown[1]


@given(texts, st.text(min_size=1, max_size=300), st.integers(12, 200))
def test_an_answer_that_only_goes_on_differs_too(same, more, width):
    shown = shortened(same, f"{same}{more}", width)
    assert shown[0] != shown[1]
