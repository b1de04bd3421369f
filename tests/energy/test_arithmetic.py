"""Is every kind of arithmetic known wherever it must be?"""

from nmsim.config.board import OPERATION_KINDS
from nmsim.energy.arithmetic import ARITHMETIC
from nmsim.selection.formats import FORMATS


def test_each_kind_of_arithmetic_has_an_energy_and_each_energy_a_kind():
    assert set(ARITHMETIC) == set(OPERATION_KINDS)


def test_an_operand_of_a_multiplication_is_as_long_as_a_value_of_its_format():
    for form in FORMATS.values():
        assert ARITHMETIC[form.mac].operand_bytes == form.value_bytes
