"""Is a selection that comes back between the epochs executed and priced every time, where it runs?"""

from pathlib import Path

import numpy as np
import pytest
from board_samples import epoch, one_pass

from nmsim.config import load_config
from nmsim.errors import ConfigError
from nmsim.simulation import simulate
from nmsim.system.board import SelectionWork
from nmsim.system.board_checks import check_board

BOARD = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"
SMALL = [
    "dataset.glyphs.n_train=120",
    "dataset.glyphs.n_test=40",
    "training.network=softmax",
    "training.epochs=5",
    "training.min_steps=0",
    "training.seeds=2",
    "simulation.samples=100",
    "selection.keep_ratio=0.25",
    "selection.methods.nessa.reselect_every=2",
    "schemes=[random, nessa@nmc, nessa@host]",
]


def read(board, phase, array="images"):
    frame = board.frame()
    rows = frame[(frame["phase"] == phase) & (frame["array"] == array) & (frame["cmd"].isin(["RD", "RDA"]))]
    return int(rows["bytes"].sum())


def test_a_network_without_an_8_bit_copy_is_refused_before_any_work():
    config = load_config(BOARD, [*SMALL, "training.network=resnet-8"])
    with pytest.raises(ConfigError, match=r"training\.network=resnet-8.*resnet-8 has no int8 form"):
        check_board(config)


@pytest.mark.parametrize("place", ["nmc", "host"])
@pytest.mark.parametrize("simulated", ["all", 1])
def test_rounds_and_epochs_are_all_counted(place, simulated, execute):
    epochs = [epoch(np.arange(40), macs=1000)] * 5
    once, _ = execute({0: SelectionWork(place, one_pass(), 40)}, epochs)
    works = {start: SelectionWork(place, one_pass(), 40) for start in (0, 2, 4)}
    thrice, _ = execute(works, epochs, **{"simulation.epochs": simulated})
    assert read(thrice, "scan") == 3 * read(once, "scan") > 0
    assert read(thrice, "training") == read(once, "training") > 0
    assert len(thrice.epochs) == (5 if simulated == "all" else 3)  # one of each stretch


def test_what_comes_before_a_round_is_the_hosts_everywhere(execute):
    moved = {}
    for place in ("nmc", "host"):
        work = SelectionWork(place, one_pass(), 40, before=one_pass("feedback"))
        board, _ = execute({0: work}, [epoch(np.arange(40))])
        moved[place] = board.meter.total.bytes_of("host", ["feedback"])
    assert moved["nmc"] == moved["host"] > 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return simulate(load_config(BOARD, SMALL), out=tmp_path_factory.mktemp("runs"), report=False)


def test_a_method_that_follows_the_training_learns_the_same_on_either_side(run):
    rows = run.schemes.set_index("scheme")
    near, host = rows.loc["nessa@nmc"], rows.loc["nessa@host"]
    assert near["accuracy_mean"] == host["accuracy_mean"]
    assert near["kept"] == host["kept"] == 30 and near["epochs"] == host["epochs"] == 5


def test_each_round_feeds_the_weights_back_over_the_link(run):
    phases = run.phases.set_index(["scheme", "phase"])["pcb_bytes"]
    # Rounds before the epochs 0, 2 and 4. Each reads the 120 images of 3,072 bytes to calibrate, and writes
    # 3,072 · 10 weights, 10 biases of 4 bytes and 3 scales of 4 bytes in records of 1,024.
    fed = 3 * (120 * 3072 + 1024 * -(-(30720 + 40 + 12) // 1024))
    assert phases["nessa@nmc", "feedback"] == phases["nessa@host", "feedback"] == fed
    assert phases["nessa@nmc", "forward"] == 0
    # Three rounds over what is left of 12 classes' candidates: 12 a class, each time less int(0.1 · 12) = 1.
    assert phases["nessa@host", "forward"] > 3072 * (120 + 110 + 100)
    assert phases["nessa@nmc", "training"] == phases["nessa@host", "training"] == 5 * 30 * 3072


def test_a_training_without_patches_reads_the_kept_ones_alone(tmp_path):
    sets = [s for s in SMALL if not s.startswith(("schemes", "selection.methods", "training.seeds"))]
    sets += ["schemes=[dq@host]", "training.seeds=1"]
    sets += ["selection.methods.dq.patch_drop=0.25", "selection.methods.dq.network_epochs=1"]
    run = simulate(load_config(BOARD, sets), out=tmp_path, report=False)
    row = run.schemes.set_index("scheme").loc["dq@host"]
    assert row["kept"] == 40  # 0.25 / (1 - 0.25) of 120
    # 48 of 64 patches of 4 · 4 · 3 bytes and 8 bytes of mask are 2,312; a record touches two bursts in part.
    training = run.phases.set_index("phase").loc["training", "pcb_bytes"]
    assert 5 * 40 * 2312 <= training < 5 * 40 * (2312 + 128)
