"""A preset of each standard, one after the other."""

import pytest
from laid_out import PRESET_OF, memory


@pytest.fixture(params=PRESET_OF.values())
def spec(request):
    """Return each preset's DramSpec in turn."""
    return memory(request.param)[0]
