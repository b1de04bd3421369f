"""Are the generated digits the same wherever and however many are made, and are they digits?"""

from __future__ import annotations

import logging
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from nmsim.data import glyphs, open_dataset
from nmsim.data.dataset import sha256_of
from nmsim.store import fs


def test_one_seed_gives_one_set_and_another_another():
    first, again, other = (glyphs.generate(40, seed=s)[0] for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


@pytest.mark.parametrize("n", [1, 9, 249, 250, 251])
def test_the_first_images_do_not_depend_on_how_many_follow(n):
    X, y = glyphs.generate(n)
    longer_X, longer_y = glyphs.generate(270)
    np.testing.assert_array_equal(X, longer_X[:n])
    np.testing.assert_array_equal(y, longer_y[:n])


def test_training_and_test_images_are_different():
    train = {x.tobytes() for x in glyphs.generate(250)[0]}
    assert not train & {x.tobytes() for x in glyphs.generate(250, split="test")[0]}


def test_every_ten_images_hold_each_digit_once():
    _, y = glyphs.generate(270)
    assert (np.sort(y.reshape(-1, 10), axis=1) == np.arange(10)).all()


def test_every_font_draws_ten_different_digits_that_end_before_the_mask_does():
    masks = glyphs.masks()
    for drawn in masks:
        assert len({mask.tobytes() for mask in drawn}) == 10
    # Outside lies paper: the sampler relies on it.
    border = np.ones(masks.shape[2:], bool)
    border[1:-1, 1:-1] = False
    assert masks[:, :, border].max() == 0


def test_the_masks_are_those_of_the_fonts_as_near_as_versions_of_what_draws_them_allow():
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    here = [i for i, font in enumerate(glyphs.FONTS) if (folder / f"{font}.ttf").exists()]
    assert len(here) >= 20  # matplotlib has one of them from 3.11 on
    for i in here:
        drawn = glyphs.draw(glyphs.FONTS[i], folder)
        assert abs(drawn.astype(int) - glyphs.masks()[i]).mean() < 2


def test_the_default_images_are_the_same_everywhere():
    # No more is known of these bytes than that they were the first; whatever changes them raises VERSION.
    first = "278d95bca5c122a0a79ef1f3e519fc52c0bca91a7631db88fa174fe7568df0ff"
    assert glyphs.VERSION == 1
    assert sha256_of(*glyphs.generate(20), *glyphs.generate(10, split="test")) == first


def test_without_relief_noise_and_contrast_an_image_is_its_ground(monkeypatch):
    monkeypatch.setattr(glyphs, "_NOISE", (0, 1))  # drawn in [0, 1), rounded down to no noise
    monkeypatch.setattr(glyphs, "_GROUND_SWING", 1)
    monkeypatch.setattr(glyphs, "_ink", lambda words, digits: np.zeros((250, 32, 32), np.int32))
    X, _ = glyphs.generate(50)
    assert (X[:, :1, :1] == X).all()


def test_full_ink_shows_the_inks_colour_at_the_contrast_asked_for(monkeypatch):
    monkeypatch.setattr(glyphs, "_CONTRAST", (60, 61))
    monkeypatch.setattr(glyphs, "_GROUND_SWING", 1)
    ground, colour = glyphs._colours(glyphs._Words("test", seed=0))
    difference = abs(colour.mean(axis=-1) - ground.mean(axis=-1))[:, 0, 0]
    whole = ((colour > 0) & (colour < 255)).all(axis=(1, 2, 3))  # no channel was clipped
    # The ground's and the ink's lightness are rounded once each, by less than 1.
    assert whole.sum() > 100 and (abs(difference[whole] - 60) < 2).all()


def test_noise_has_the_moments_of_four_bytes():
    noise = glyphs._Words("test", seed=0).noise(200_000)
    # Four uniform bytes: mean 4·127.5 = 510, taken away; variance 4·(256² − 1)/12 = 21,845. The standard
    # error of the mean is 147.8/√200,000 = 0.33, of the deviation about 0.22: six of them are allowed.
    assert abs(noise.mean()) < 2 and abs(noise.std() - 21_845**0.5) < 1.4


def test_an_upright_digit_is_its_mask_made_smaller(monkeypatch):
    monkeypatch.setattr(glyphs, "_TURN_DEGREES", 0.0)
    monkeypatch.setattr(glyphs, "_SHEAR", 0.0)
    monkeypatch.setattr(glyphs, "_SHIFT_PX", 0.0)
    monkeypatch.setattr(glyphs, "_WIDEN", (1.0, 1.0))
    monkeypatch.setattr(glyphs, "_HEIGHT_PX", (24.0, 24.0))  # 96 samples high: 4 a pixel, 32 pixels in all
    digits = np.arange(250) % 10
    ink = glyphs._ink(glyphs._Words("test", seed=0), digits)
    fonts = glyphs._Words("test", seed=0).below(len(glyphs.FONTS), 250)
    for i in range(250):
        exact = glyphs.masks()[fonts[i], digits[i]].reshape(32, 4, 32, 4).mean(axis=(1, 3))
        # Three samples an axis stand for four: edges differ, the amount of ink hardly does.
        assert abs(ink[i] - exact).mean() < 6 and abs(ink[i].mean() - exact.mean()) < 1.5


@pytest.mark.slow
def test_a_simple_classifier_learns_more_from_more():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    # Where the digit lies, whatever its colours: distance from the border's mean colour.
    def features(X):
        X = X.astype(float)
        ground = np.concatenate([X[:, 0], X[:, -1]], axis=1).mean(axis=1)
        far = abs(X - ground[:, None, None]).sum(axis=-1).reshape(len(X), 16, 2, 16, 2).mean(axis=(2, 4))
        return far.reshape(len(X), -1) / far.std(axis=(1, 2))[:, None]

    (X, y), (X_test, y_test) = glyphs.generate(2000), glyphs.generate(500, split="test")
    scores = [
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5)
        .fit(features(X[:n]), y[:n])
        .score(features(X_test), y_test)
        for n in (200, 2000)
    ]
    assert scores[0] > 0.2 and scores[1] > scores[0] + 0.05  # guessing gives 0.1


def test_the_cache_holds_what_is_generated(tmp_path, monkeypatch):
    made = open_dataset("glyphs", n_train=30, n_test=10, cache_dir=tmp_path)
    monkeypatch.setattr(glyphs, "generate", lambda *a, **k: pytest.fail("made although it is there"))
    kept = open_dataset("glyphs", n_train=30, n_test=10, cache_dir=tmp_path)
    assert made.sha256 == kept.sha256 and made.split == "as given"


@pytest.mark.parametrize("harm", ["flip a bit", "cut short", "remove a file", "empty the hash"])
def test_a_damaged_cache_is_made_anew(tmp_path, harm, caplog):
    made = open_dataset("glyphs", n_train=30, n_test=10, cache_dir=tmp_path)
    (folder,) = (tmp_path / "glyphs").iterdir()
    file = folder / "X_train.npy"
    content = bytearray(file.read_bytes())
    if harm == "flip a bit":
        content[-1] ^= 1
        file.write_bytes(content)
    elif harm == "cut short":
        file.write_bytes(content[:-100])
    elif harm == "remove a file":
        file.unlink()
    else:
        (folder / "sha256.json").write_text("")
    with caplog.at_level(logging.WARNING):
        assert open_dataset("glyphs", n_train=30, n_test=10, cache_dir=tmp_path).sha256 == made.sha256
    assert "made anew" in caplog.text
    caplog.clear()
    open_dataset("glyphs", n_train=30, n_test=10, cache_dir=tmp_path)
    assert not caplog.text


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    data = open_dataset("glyphs", n_train=30, n_test=10, cache_dir=tmp_path / "file")
    assert len(data.y_train) == 30 and "not kept" in caplog.text


def test_the_cache_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NMSIM_CACHE", str(tmp_path / "own"))
    open_dataset("glyphs", n_train=20, n_test=10)
    assert [folder.name for folder in (tmp_path / "own").iterdir()] == ["glyphs"]
    fs.clear_leftovers(tmp_path / "own" / "glyphs")
