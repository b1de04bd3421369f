"""Does nmsim come as near to published figures as docs/explanation/calibration.md says?"""

from pathlib import Path

import pytest
from calibration import page, read_parts
from calibration_runs import BOARDS

from nmsim.config import load_config
from nmsim.system.board_checks import check_board

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "calibration.md"
PARTS = read_parts()
COMPARISONS = [row for part in PARTS for row in part.rows]


@pytest.fixture(scope="module")
def figures():
    """Return nmsim's figure for each comparison."""
    return {row.what: row.figure() for row in COMPARISONS}


@pytest.mark.parametrize("board", ["gddr6_aim", "upmem"])
def test_the_boards_of_the_calibration_can_be(board):
    check_board(load_config(BOARDS / "calibration" / f"{board}.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("row", COMPARISONS, ids=lambda row: row.what)
def test_a_figure_is_within_the_published_spread_or_off_by_what_is_explained(row, figures):
    value = figures[row.what].value
    if row.why:
        assert not row.within(value), "it is within the published spread: its reason for being off is stale"
        low, high = row.stays
        assert low <= value <= high
    else:
        assert row.within(value), f"{value} is outside {row.range()}: say why"


@pytest.mark.slow
def test_units_at_the_rank_save_less_than_units_beside_the_banks(figures):
    rank = figures["DDR4 with units beside the rank (AXDIMM)"]
    banks = [figures[what] for what in figures if "units beside the banks" in what]
    assert len(banks) == 2 and all(rank.high < bank.low for bank in banks)


@pytest.mark.slow
def test_the_page_holds_these_figures(figures):
    text = page(PARTS, figures)
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        pytest.fail(f"figures have changed: {PAGE} is written anew. Look at what differs, and commit it")
