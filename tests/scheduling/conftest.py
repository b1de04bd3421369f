"""The two presets, one after the other."""

import pytest
from small_memories import memory


@pytest.fixture(params=["lpddr4-3200", "ddr4-2400", "lpddr5-6400"])
def preset(request):
    """Return (DramSpec, ControllerSpec) of each preset in turn."""
    return memory(request.param)
