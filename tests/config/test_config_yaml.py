"""Are YAML's traps closed?"""

from __future__ import annotations

import gc
import time

import pytest

from nmsim.config import load_config
from nmsim.config.yaml_tree import MAX_ALIASES, MAX_DEPTH, MAX_FILE_BYTES, parse_yaml
from nmsim.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-9", 1e-9),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3.", -3.0),
        ("012", 12),
        ("+7", 7),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("2024-01-02", "2024-01-02"),
        ("'1'", "1"),
        ("=", "="),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = parse_yaml(f"key: {text}", "f")[0]["key"]
    assert found == value and type(found) is type(value)


def test_every_value_knows_its_line():
    tree, origins = parse_yaml("a: 1\nb:\n  c:\n    - 2\n    - 3\n", "f")
    assert tree == {"a": 1, "b": {"c": [2, 3]}}
    assert {path: origin.line for path, origin in origins.items()} == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 4,
        ("b", "c", 1): 5,
    }


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands twice.*line 1"),
        ("x: {a: 1, 'a': 2}\n", 1, "'a' stands twice"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "tag is not allowed"),
        ("a: !custom 3\n", 1, "tag is not allowed"),
        ("a: !!binary aGk=\n", 1, "tag is not allowed"),
        ("base: &b {a: 1}\nc:\n  <<: *b\n", 3, "merge keys.*extends"),
        ("? [a, b]\n: 1\n", 1, "key must be a plain name"),
        ("a: [1, 2\n", None, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 'open\n", None, "not valid YAML"),
        ("a: *nowhere\n", 1, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", None, "not valid YAML"),
        ("- 1\n- 2\n", 1, "mapping of keys to values"),
        ("just text\n", 1, "mapping of keys to values"),
        ("", 1, "mapping of keys to values.*nothing"),
        ("a: \x00\n", None, "not valid YAML"),
        ("a: !!int x\n", 1, "cannot read 'x'"),
        ("a: " + "9" * 5000, 1, "cannot read"),
    ],
)
def test_a_trap_is_one_line_with_file_and_line(text, line, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_yaml(text, "board.yaml")
    assert str(caught.value).startswith("board.yaml:") and "\n" not in str(caught.value)
    if line is not None:
        assert caught.value.line == line


def test_deep_nesting_is_refused_however_deep():
    assert parse_yaml("{a: " * MAX_DEPTH + "1" + "}" * MAX_DEPTH, "f")
    for depth in (MAX_DEPTH + 1, 500, 50_000):
        with pytest.raises(ConfigError, match="nested too deeply"):
            parse_yaml("{a: " * depth + "1" + "}" * depth, "f")
        with pytest.raises(ConfigError, match="nested too deeply"):
            parse_yaml("a: " + "[" * depth + "]" * depth, "f")


def test_a_few_aliases_are_read_and_many_are_refused():
    few = "a: &x 1\n" + "".join(f"b{i}: *x\n" for i in range(MAX_ALIASES))
    assert parse_yaml(few, "f")[0]["b0"] == 1
    with pytest.raises(ConfigError, match="too many aliases"):
        parse_yaml(few + "c: *x\n", "f")


def test_a_bomb_of_aliases_is_refused_before_it_unfolds():
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    with pytest.raises(ConfigError, match="aliases"):
        parse_yaml("\n".join(layers), "f")
    # The same with two a layer, which is few aliases but 2**10 values.
    layers = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 11)]
    assert parse_yaml("\n".join(layers), "f")


@pytest.mark.parametrize("layers", [0, 10])
def test_more_values_than_a_sweep_needs_are_refused_at_once(layers):
    text = f"a0: &a0 [{'1, ' * (30_000 if layers == 0 else 4000)}1]\n"
    text += "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, layers + 1))
    began = time.monotonic()
    with pytest.raises(ConfigError, match="too many values"):
        parse_yaml(text, "f")
    assert time.monotonic() - began < 10  # of 2**10 · 4000 values


def test_nothing_is_kept_of_what_was_parsed():
    text = "".join(f"a{i}: {i}\n" for i in range(1000))
    kept = []
    for _ in range(2):
        parse_yaml(text, "f")
        gc.collect()
        kept.append(len(gc.get_objects()))
    assert kept[1] < kept[0] + 500


def test_an_alias_to_its_own_parent_is_refused():
    with pytest.raises(ConfigError):
        parse_yaml("a: &a\n  b: *a\n", "f")


def test_a_file_of_more_than_a_mebibyte_is_refused(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text("seed: 1\n#" + "x" * MAX_FILE_BYTES)
    with pytest.raises(ConfigError, match=r"too big.*1 MiB"):
        load_config(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "no such configuration file"),
        (lambda p: p.mkdir(), "this is a folder"),
        (lambda p: p.write_bytes(b"a: \xff\xfe"), "not UTF-8"),
        (lambda p: p.write_text(""), "mapping of keys"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, make, words):
    path = tmp_path / "board.yaml"
    make(path)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: absent.yaml\n", "no file"),
        ("extends: .\n", "no file"),
        ("extends: {a: b}\n", "takes a file name"),
        ("extends: [1]\n", "takes a file name"),
        ("extends: board.yaml\n", "circle"),
    ],
)
def test_a_bad_extends_is_named_with_its_line(tmp_path, text, words):
    path = tmp_path / "board.yaml"
    path.write_text("seed: 1\n" + text)
    with pytest.raises(ConfigError, match=words):
        load_config(path)


def test_a_circle_of_extends_is_shown(tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {base}.yaml\n")
    with pytest.raises(ConfigError, match=r"a\.yaml -> b\.yaml -> c\.yaml -> a\.yaml"):
        load_config(tmp_path / "a.yaml")
