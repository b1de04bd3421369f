"""Does cost grow with the data as arithmetic says, up to sizes that no machine would hold?"""

from __future__ import annotations

import tracemalloc

import pytest
from board_samples import BOARDS

from nmsim.config import load_config
from nmsim.data import load
from nmsim.learning import Learner
from nmsim.simulation import prepare
from nmsim.system.course import Course


def course(n: int, shape: tuple[int, int, int], scheme: str = "full") -> Course:
    """Return one epoch of a scheme on n images of random bytes, on the board of an ImageNet's size."""
    height, width, channels = shape
    size = f"n_train: {n}, height: {height}, width: {width}, channels: {channels}, n_classes: 2"
    sets = [f"dataset.synthetic={{{size}}}", f"schemes=[{scheme}]", "training.epochs=1"]
    config = load_config(BOARDS / "imagenet.yaml", [*sets, "training.network=softmax"])
    dataset = load(config.dataset)
    learner = Learner(config, dataset, lambda message, share: None)
    board, *work = prepare(config, dataset, scheme, learner.learn(scheme, 0.0))
    board.execute(*work)
    return board.course()


@pytest.mark.parametrize(("shape", "bursts"), [((8, 8, 1), 1), ((10, 10, 1), 2), ((32, 32, 3), 48)])
def test_an_epoch_reads_every_burst_of_every_image_once(shape, bursts):
    # A burst is 64 bytes: 64, 100 and 3,072 bytes are 1, 2 and 48 of them.
    for n in (50, 200):
        found = course(n, shape)
        assert found.accesses == found.simulated_accesses == n * bursts


def test_a_random_tenth_is_read_and_its_indices_are_written_whatever_the_number():
    once, twice = (course(n, (32, 32, 3), "random").accesses for n in (500, 1000))
    # A tenth of the images is read, and their indices written, 16 of them in a burst.
    assert once == 50 * 48 + -(-50 * 4 // 64) and twice == 100 * 48 + -(-100 * 4 // 64)


def test_a_data_set_larger_than_memory_takes_a_board_a_few_bytes_an_image():
    size = "n_train: 200000, height: 224, width: 224, channels: 3, n_classes: 1000"
    config = load_config(BOARDS / "imagenet.yaml", [f"dataset.synthetic={{{size}}}", "schemes=[full]"])
    tracemalloc.start()
    dataset = load(config.dataset)
    learnt = Learner(config, dataset, lambda message, share: None).learn("full", 0.0)
    prepare(config, dataset, "full", learnt)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert dataset.X_train.nbytes > 30e9
    assert peak_bytes < 200 * 200_000
