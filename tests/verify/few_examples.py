"""A pytest plugin: two examples of every property, for lanes in which each takes long."""

from hypothesis import settings


def pytest_collection_modifyitems(items):
    """Lower what the tests' own settings say."""
    for item in items:
        of_test = getattr(item.obj, "_hypothesis_internal_use_settings", None)
        if of_test is not None:
            item.obj._hypothesis_internal_use_settings = settings(of_test, max_examples=2, derandomize=True)
