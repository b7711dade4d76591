from hypothesis import given
from hypothesis import strategies as st

from mmload.standin.prefix_cache import PrefixCache

SEGMENTS = st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.integers(1, 50)), min_size=1, max_size=5)


def test_a_repeated_prompt_is_cached_but_for_its_last_token():
    cache = PrefixCache(1000)
    prompt = [(b"words", 10), (b"image", 64)]
    assert [cache.match(prompt), cache.match(prompt)] == [0, 73]


def test_only_the_leading_segments_that_are_the_same_are_cached():
    cache = PrefixCache(1000)
    cache.match([(b"system", 20), (b"image 1", 64), (b"words", 5)])
    assert cache.match([(b"system", 20), (b"image 2", 64), (b"words", 5)]) == 20
    assert cache.match([(b"image 1", 64), (b"words", 5)]) == 0


def test_the_least_recently_used_segments_go_first():
    cache = PrefixCache(100)
    for key in (b"a", b"b", b"a", b"c"):
        cache.match([(key, 50), (b"end", 0)])
    assert cache.match([(b"b", 50), (b"end", 0)]) == 0


def test_a_cleared_cache_knows_nothing():
    cache = PrefixCache(100)
    cache.match([(b"a", 50)])
    cache.clear()
    assert cache.match([(b"a", 50)]) == 0


@given(st.lists(SEGMENTS, max_size=20))
def test_a_match_never_claims_more_than_the_prompt_and_repeats_match_whole(prompts):
    cache = PrefixCache(10_000)
    for prompt in prompts:
        total = sum(tokens for _, tokens in prompt)
        assert 0 <= cache.match(prompt) < total
        assert cache.match(prompt) == total - 1
