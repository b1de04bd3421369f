"""Do folders of images become what was drawn, and is every file that does not fit named?"""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image

from nmsim.data import open_dataset
from nmsim.errors import DataError


def draw(file, mode: str = "RGB", size: tuple[int, int] = (6, 4), seed: int = 0) -> np.ndarray:
    """Write one image and return its pixels."""
    shape = (size[1], size[0]) + ((3,) if mode == "RGB" else ())
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return pixels


def classes(root, *, n: int = 5, mode: str = "RGB"):
    for c, name in enumerate(("cat", "dog")):
        for i in range(n):
            draw(root / name / f"{i}.png", mode, seed=10 * c + i)
    return root


def test_train_and_test_folders_come_back_pixel_by_pixel(tmp_path):
    classes(tmp_path / "train")
    classes(tmp_path / "test", n=2)
    data = open_dataset(path=tmp_path)
    assert data.class_names == ("cat", "dog") and data.image_shape == (4, 6, 3)
    assert (len(data.y_train), len(data.y_test)) == (10, 4) and data.split == "as given"
    np.testing.assert_array_equal(data.X_train[6], draw(tmp_path / "again.png", seed=11))  # the dog 1.png


def test_one_set_is_split_by_class(tmp_path):
    data = open_dataset(path=classes(tmp_path))
    assert np.bincount(data.y_test).tolist() == [1, 1] and "stratified" in data.split


def test_images_are_grey_only_where_all_are(tmp_path):
    assert open_dataset(path=classes(tmp_path / "a", mode="L")).image_shape == (4, 6, 1)
    draw(tmp_path / "a" / "dog" / "9.png", "RGB")
    assert open_dataset(path=tmp_path / "a").image_shape == (4, 6, 3)


def test_files_that_file_managers_leave_are_passed_over(tmp_path):
    before = open_dataset(path=classes(tmp_path)).sha256
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / "cat" / "Thumbs.db").write_text("")
    assert open_dataset(path=tmp_path).sha256 == before


def text_file(root):
    (root / "dog" / "notes.txt").write_text("not an image")


def cut_short(root):
    whole = (root / "dog" / "1.png").read_bytes()
    (root / "dog" / "1.png").write_bytes(whole[: len(whole) // 2])


def bomb(root):
    # A PNG whose header says 50,000×50,000 pixels; its data need not even be there.
    chunk = b"IHDR" + (50_000).to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (root / "dog" / "1.png").write_bytes(content + (0).to_bytes(4, "big") + b"IEND\xaeB`\x82")


def just_too_large(root):
    Image.new("L", (4096, 1025)).save(root / "dog" / "1.png")


def other_size(root):
    draw(root / "dog" / "1.png", size=(4, 6))


def sixteen_bits(root):
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(root / "dog" / "1.png")


def empty_class(root):
    (root / "emu").mkdir()


def loose_file(root):
    draw(root / "1.png")


def deeper_folder(root):
    draw(root / "dog" / "more" / "1.png")


def link_to_itself(root):
    (root / "dog" / "1.png").unlink()
    (root / "dog" / "1.png").symlink_to("1.png")


def link_to_the_parent(root):
    (root / "dog" / "up").symlink_to(root)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (text_file, "notes.txt: this is not an image"),
        (cut_short, "1.png: the image"),
        (bomb, "1.png: the image is too large"),
        (just_too_large, "1.png: the image is too large (found 4096×1025"),
        (other_size, "1.png: images are not of one size (found 4×6; expected 6×4"),
        (sixteen_bits, "1.png: pixels of this kind are not read (found I"),
        (empty_class, "emu: a class folder is empty"),
        (loose_file, "1.png: a file stands among the class folders"),
        (deeper_folder, "more: a folder stands among the images"),
        (link_to_itself, "1.png: this cannot be read (found Too many levels of symbolic links)"),
        (link_to_the_parent, "up: a folder stands among the images"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, harm, message):
    harm(classes(tmp_path))
    with pytest.raises(DataError) as caught:
        open_dataset(path=tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_one_class_is_refused(tmp_path):
    draw(tmp_path / "cat" / "1.png")
    draw(tmp_path / "cat" / "2.png")
    with pytest.raises(DataError, match="nothing to tell apart"):
        open_dataset(path=tmp_path)


def test_a_class_that_is_only_tested_is_refused(tmp_path):
    classes(tmp_path / "train")
    classes(tmp_path / "test")
    draw(tmp_path / "test" / "emu" / "1.png")
    with pytest.raises(DataError, match="emu: a class has no training images"):
        open_dataset(path=tmp_path)
