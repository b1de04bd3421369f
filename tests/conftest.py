"""What holds for all tests."""

from hypothesis import settings

# Examples take longer where kernels are compiled or the machine is busy; no test is about time.
settings.register_profile("nmsim", deadline=None)
settings.load_profile("nmsim")
