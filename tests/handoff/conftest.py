import threading

import pytest
from ranks_in_threads import Group, made_in


@pytest.fixture
def group(tmp_path):
    """group(variant, size, cannot_build=.., **options) -> a Group that is closed at the end, and leaves nothing."""
    groups = []

    def start(variant, size, cannot_build=None, **options):
        groups.append(Group(made_in(tmp_path, variant, **options), size, cannot_build))
        return groups[-1]

    yield start
    for each in groups:
        each.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mmload-")] == []
    assert list(tmp_path.iterdir()) == []
