"""What is noted of a host before a run is started on it."""

import pytest

from mmload.observe.host_state import host_state


def test_it_looks_for_a_second_and_says_what_the_kernel_says(tmp_path):
    waited = []
    state = host_state(waited.append, tmp_path)
    assert waited == [1.0]
    assert 0 <= state.cpu_busy_pct <= 100.0
    assert state.memory_available_bytes > 0
    assert state.throttled is None


@pytest.mark.parametrize(("counts", "throttled"), [(["3", "4\n"], 7), (["3", "no number"], None)])
def test_throttling_is_counted_over_all_cores(counts, throttled, tmp_path):
    for core, count in enumerate(counts):
        file = tmp_path / f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count"
        file.parent.mkdir(parents=True)
        file.write_text(count)
    assert host_state(lambda _s: None, tmp_path).throttled == throttled
