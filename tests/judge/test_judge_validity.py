from collections import Counter

import msgspec
from factory import Truth, requests_of
from hypothesis import given
from hypothesis import strategies as st

from mmload.judge.validity import _repeated
from mmload.store.requests import table_of

ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")


@given(st.lists(st.sampled_from(["a", "b", "aa", "ä", "c-1", "c-10"]), max_size=12))
def test_an_id_that_occurs_more_than_once_is_counted_once(ids):
    table = table_of(msgspec.structs.replace(ONE, id=one, due_ns=n % 3) for n, one in enumerate(ids))
    assert _repeated(table) == sum(count > 1 for count in Counter(ids).values())
