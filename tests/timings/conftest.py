"""A preset of each standard, one after the other."""

import pytest
from laid_out import memory


@pytest.fixture(params=["lpddr4-3200", "ddr4-2400", "ddr5-4800"])
def spec(request):
    """Return each preset's DramSpec in turn."""
    return memory(request.param)[0]
