"""Is the link's energy that of the bytes that really cross?"""

from math import comb

import numpy as np
import pytest
from test_link import PLAIN

from nmsim.config.board import Link
from nmsim.energy.data_bits import expected_activity, line_activity
from nmsim.energy.dbi import driven_share

RNG = np.random.default_rng(5)


def link(signalling, dbi="none"):
    return Link.model_validate(PLAIN | {"signalling": signalling, "dbi": dbi})


def activity(records, signalling, dbi="none", bus_bytes=2):
    return line_activity(np.asarray(records, np.uint8), link(signalling, dbi), bus_bytes, access_bytes=32)


@pytest.mark.parametrize(("signalling", "driving"), [("POD", 0x00), ("LVSTL", 0xFF)])
def test_a_byte_that_drives_all_its_lines_drives_one_pin_when_it_is_inverted(signalling, driving):
    # Eight lines in the driven state are sent as eight at rest and the inversion pin.
    worst, best = np.full((1, 64), driving), np.full((1, 64), 255 - driving)
    assert activity(worst, signalling).driven == 64 * 8
    assert activity(worst, signalling, "dc").driven == 64
    assert activity(best, signalling).driven == activity(best, signalling, "dc").driven == 0


def test_random_bytes_with_inversion_drive_3_27_of_nine_pins():
    # Σ C(8, k)/256 · min(k, 9 − k) over k: at most four of nine pins conduct.
    exact = sum(comb(8, k) * min(k, 9 - k) for k in range(9)) / 256
    assert exact == pytest.approx(3.27, abs=0.005)
    assert 8 * driven_share(0.5, "dc") == pytest.approx(exact)
    records = RNG.integers(0, 256, (64, 4096))
    for signalling in ("POD", "LVSTL"):
        assert activity(records, signalling, "dc").driven.sum() / records.size == pytest.approx(
            exact, rel=0.01
        )


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_inversion_never_costs_and_never_drives_more_than_half_of_the_lines(share):
    assert driven_share(share, "dc") <= min(driven_share(share, "none"), 0.5) + 1e-12
    # Bits that are seldom driven are hardly ever inverted.
    assert share > 0.2 or driven_share(share, "dc") == pytest.approx(share, rel=0.02)


def test_rising_edges_are_those_of_each_line_from_beat_to_beat():
    records = RNG.integers(0, 256, (3, 70))  # 70 bytes go in three bursts of 16 beats on two lanes
    padded = np.zeros((3, 96), dtype=np.uint8)
    padded[:, :70] = records
    for number, record in enumerate(padded):
        rises = 0
        for burst in record.reshape(3, 16, 2):
            bits = np.unpackbits(burst, axis=1)
            before = np.vstack([np.zeros(16, np.uint8), bits[:-1]])
            rises += int(((bits == 1) & (before == 0)).sum())
        assert activity(records, "unterminated").rises[number] == rises
    assert activity(records, "unterminated").driven.sum() == 0


def test_random_bytes_rise_as_often_as_the_share_of_random_data_says():
    records = RNG.integers(0, 256, (64, 4096))
    # Each burst starts from low lines: the first of its 16 beats rises with 1/2, the others with 1/4.
    expected = records.size * 8 * (1 / 2 + 15 / 4) / 16
    assert activity(records, "unterminated").rises.sum() == pytest.approx(expected, rel=0.01)
    assert expected_activity(link("unterminated"), 800) == (0.0, 200.0)


def test_inversion_is_refused_where_no_line_draws_direct_current():
    with pytest.raises(ValueError, match="unterminated line does not draw"):
        link("unterminated", "dc")
