"""Is what a configuration says of DE-SNE what its class takes?"""

from typing import Literal, get_args, get_origin

import pytest

from nmsim.config.experiment import DeSne, Selection
from nmsim.config.schema import RunConfig
from nmsim.errors import ConfigError
from nmsim.selection.api import create, method_parameters

#: Stands in `near_memory.format`, so that both sides select alike.
ELSEWHERE = {"number_format"}


def test_the_section_has_the_parameters_of_the_class_with_its_defaults():
    taken = {name: value for name, value in method_parameters("de-sne").items() if name not in ELSEWHERE}
    assert Selection().parameters("de-sne") == taken


def limits():
    """Yield a parameter and two values: at an end of what the section takes, and out of it."""
    for name, field in DeSne.model_fields.items():
        if get_origin(field.annotation) is Literal:
            yield from ((name, choice, "none such") for choice in get_args(field.annotation))
            continue
        for bound in field.metadata:
            at = {"ge": (0, -1), "le": (0, 1), "gt": (1e-3, 0), "lt": (-1e-3, 0)}
            for kind, (inside, outside) in at.items():
                end = getattr(bound, kind, None)
                if end is not None:
                    yield name, end + inside, end + outside


@pytest.mark.parametrize(("name", "taken", "refused"), [*limits()])
def test_the_section_takes_what_the_class_takes(name, taken, refused):
    create("de-sne", 0.1, **{name: taken})
    with pytest.raises(ConfigError, match=name):
        create("de-sne", 0.1, **{name: refused})


@pytest.mark.parametrize("method", ["de-sne", "k-center"])
def test_the_parameters_of_a_method_stand_where_its_path_leads(method):
    selection = Selection(methods={"k-center": {"pool_size": 3}}, de_sne={"pool_size": 3})
    node = RunConfig.model_construct(selection=selection).model_dump()
    for key in selection.path(method):
        node = node[key]
    assert selection.parameters(method).items() <= node.items()
    assert selection.parameters(method)["pool_size"] == 3
