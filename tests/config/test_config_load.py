"""Does a configuration mean what its files and options say?"""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from nmsim.config import RunConfig, config_hash, dump_config, load_config
from nmsim.config.schema import quantities
from nmsim.errors import ConfigError

BOARDS = sorted((Path(__file__).parents[2] / "hw_configs").glob("*.yaml"))
LPDDR4 = next(path for path in BOARDS if path.name == "lpddr4.yaml")


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.name)
def test_a_board_survives_being_resolved_and_read_back(path, tmp_path):
    config = load_config(path)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(dump_config(config))
    again = load_config(resolved)
    assert again.model_dump() == config.model_dump() and config_hash(again) == config_hash(config)
    assert dump_config(again) == dump_config(config)


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.name)
def test_a_resolved_board_conforms_to_the_json_schema(path):
    schema = RunConfig.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(dump_config(load_config(path))), schema)


def test_the_json_schema_refuses_an_unknown_key_and_a_wrong_unit():
    schema = jsonschema.Draft202012Validator(RunConfig.model_json_schema())
    good = yaml.safe_load(dump_config(load_config(LPDDR4)))
    assert not schema.is_valid({**good, "sedd": 2})
    assert not schema.is_valid({**good, "link": {**good["link"], "length": "3 V"}})
    assert schema.is_valid({**good, "link": {**good["link"], "length": "3 mm"}})


def test_the_json_schema_says_what_every_key_means():
    sections = RunConfig.model_json_schema()
    keys = {"": sections, **sections["$defs"]}
    silent = [
        f"{section}.{key}"
        for section, schema in keys.items()
        for key, value in schema.get("properties", {}).items()
        # A section within a section is described where it is defined.
        if "description" not in value and "$ref" not in str(value)
    ]
    assert not silent


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.name)
def test_every_physical_value_of_a_board_has_a_source(path):
    missing = [name for name, quantity in quantities(load_config(path)).items() if not quantity.source]
    assert not missing


def test_comments_key_order_and_the_name_do_not_change_the_hash(board):
    plain = board("seed: 3\nselection: {keep_ratio: 0.2}\nname: a\n", "a.yaml")
    other = board("# why\nname: b\nselection:\n  keep_ratio: 0.20  # a fifth\nseed: 3\n", "b.yaml")
    assert config_hash(load_config(plain)) == config_hash(load_config(other))


@pytest.mark.parametrize("change", ["seed=2", "link.length=31 mm", "selection.de_sne.perplexity=29"])
def test_every_meaning_changes_the_hash(board, change):
    assert config_hash(load_config(board(), [change])) != config_hash(load_config(board()))


def test_the_same_length_in_another_unit_is_the_same_configuration(board):
    lengths = ["link.length=30 mm", "link.length=3 cm", "link.length={value: 30000, unit: um}"]
    assert len({config_hash(load_config(board(), [text])) for text in lengths}) == 1


def test_set_beats_the_file_which_beats_what_it_extends(board):
    base = board("seed: 11\nname: base\ntraining: {epochs: 3, batch_size: 16}\n", "base.yaml")
    top = board("seed: 12\ntraining: {epochs: 4}\n", "top.yaml", extends=base.name)
    config = load_config(top, ["training.epochs=5"])
    assert (config.name, config.seed) == ("base", 12)
    assert (config.training.epochs, config.training.batch_size) == (5, 16)
    # 0.05 stands in the board that `base` extends.
    assert config.training.learning_rate == 0.05


def test_of_several_extended_files_the_later_wins(board):
    board("seed: 21\n", "one.yaml")
    board("seed: 22\n", "two.yaml")
    assert load_config(board(extends="[one.yaml, two.yaml]")).seed == 22
    assert load_config(board(extends="[two.yaml, one.yaml]")).seed == 21


def test_a_physical_value_is_replaced_as_a_whole(board):
    # Were the range of the board's own value kept, it would be taken for this value's.
    length = load_config(board("link: {length: {value: 12, unit: mm, source: ruler}}\n")).link.length
    assert (length.value, length.low, length.high) == (12, 6, 24) and length.assumed


def test_later_overrides_win_and_lists_are_replaced(board):
    config = load_config(board(), ["seed=4", "seed=5", "schemes=[full]"])
    assert config.seed == 5 and config.schemes == ("full",)


def test_a_configuration_is_frozen(board):
    with pytest.raises(ValueError, match="frozen"):
        load_config(board()).seed = 3


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("seed: 1\nsedd: 2\n", 3, "sedd: unknown key.*Did you mean seed?"),
        ("training:\n  epoch: 2\n", 3, "training.epoch: unknown key.*Did you mean epochs?"),
        ("schemes: [full, de-sne@ncm]\n", 2, "schemes.1: .*METHOD@PLACE.*found 'de-sne@ncm'.*de-sne@nmc"),
        ("schemes: [random@host]\n", 2, "schemes.0: random reads no image.*no place.*Did you mean random"),
        ("schemes: [full@nmc]\n", 2, "schemes.0: full reads no image.*no place.*Did you mean full"),
        ("schemes: [ful]\n", 2, "schemes.0: expected full, random.*found 'ful'.*Did you mean full"),
        ("schemes:\n- full\n- k-center\n", 4, "schemes.1: .*found 'k-center'.*Did you mean k-center@nmc"),
        ("schemes: [../../x@host]\n", 2, "schemes.0: expected full, random"),
        ("selection: {methods: {a/b: {}}}\n", 2, "selection.methods.a/b"),
        ("selection: {methods: {a: {b: {}}}}\n", 2, "selection.methods.a.b: expected"),
        ("training: {epochs: many}\n", 2, "training.epochs: expected a whole number.*found 'many'"),
        ("training: {epochs: 1.5}\n", 2, "training.epochs: .*1.5"),
        ("training: {epochs: 0}\n", 2, "training.epochs: .*0"),
        ("training: {epochs: true}\n", 2, "training.epochs: .*True"),
        ("training: [1]\n", 2, "training: expected a mapping"),
        ("selection:\n  keep_ratio: 0\n", 3, "selection.keep_ratio: must be above 0.*found 0"),
        ("selection:\n  keep_ratio: 1.01\n", 3, "selection.keep_ratio: must be at most 1.*found 1.01"),
        ("selection:\n  keep_ratio: .nan\n", 3, "selection.keep_ratio"),
        ("link: {length: 30}\n", 2, "link.length: no unit.*1 mm"),
        ("link: {length: 30 V}\n", 2, "link.length: 'V' is not a unit of length"),
        ("link: {length: -3 mm}\n", 2, "link.length: must be at least 0 mm"),
        ("memory: {rails: {VDD2: {IDD0: -45 mA}}}\n", 2, "VDD2.IDD0: must be at least 0 A, found '-45 mA'"),
        ("memory: {rails: {VDD2: {IDD0: 45 mV}}}\n", 2, "VDD2.IDD0: 'mV' is not a unit of current.*A, mA"),
        (
            "link:\n  phy: {value: 2, unit: pJ/bit, range: [3, 4]}\n",
            3,
            r"link.phy: the range \[3, 4\] does not",
        ),
        (
            "link:\n  phy: {value: 2, unit: pJ/bit, range: [4, 1]}\n",
            3,
            "link.phy: .*is reversed; write the low",
        ),
        ("soc: {sram: {value: 1, unit: MiB, range: [1, 2]}}\n", 2, "soc.sram: .*takes no range.*--set"),
        ("link: {flight_time: 5.9 ps}\n", 2, "'ps' is not a unit of time_per_length.*ps/mm"),
        ("name: ../escape\n", 2, "name"),
        ("name: ''\n", 2, "name"),
        ("seed: -1\n", 2, "seed: must be at least 0 .found -1"),
        ("seed: x\n", 2, "seed: expected a whole number .found 'x'"),
        (
            "simulation: {epochs: some}\n",
            2,
            "epochs: expected a whole number, or expected 'all' .found 'some'",
        ),
        ("schemes: []\n", 2, "schemes: needs at least 1 entry"),
        ("schemes: [full, full]\n", 2, "schemes: a scheme stands twice"),
        ("memory:\n  organization:\n    banks: 6\n", 4, "memory.organization.banks: must be a power of two"),
        ("memory: {rails: {V.2: {voltage: 1 V}}}\n", 2, "memory.rails.V.2: expected up to 16 letters"),
        ("memory: {timing: {tCK: 0.5 ps}}\n", 2, "memory.timing: tCK must be a whole number"),
        ("memory: {timing: {nRCD: -1}}\n", 2, "memory.timing.nRCD"),
        ("memory: {controller: {write_high_watermark: 99}}\n", 2, "watermark"),
        ("memory: {controller: {scheduler: FCFS, row_hit_cap: 4}}\n", 2, "row_hit_cap goes with"),
        ("memory: {controller: {refresh: none, refresh_postponed: 1}}\n", 2, "refresh_postponed goes with"),
        ("near_memory: {mode_switch: {park_reads: 2000}}\n", 2, "park_reads: must be at most 1024"),
        ("near_memory: {host_policy: shared}\n", 2, "host_policy: expected one of"),
        ("dataset: {name: cifar}\n", 2, "dataset.name: expected one of.*Did you mean cifar10?"),
    ],
)
def test_an_error_names_file_line_path_and_way_out(board, text, line, words):
    path = board(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") and "\n" not in message
    assert re.search(words, message), message


def test_all_problems_are_found_at_once(board):
    with pytest.raises(ConfigError) as caught:
        load_config(board("sedd: 1\nseed: x\ntraining: {epochs: 0}\n"))
    problems = [caught.value, *caught.value.others]
    assert [problem.line for problem in problems] == [2, 3, 4]


def test_one_mistake_is_one_problem(board):
    # Both have several reasons for the checker: a list that is too short without its wrong entry, and a value
    # that is of neither of two kinds.
    for text in ("schemes: [all]\n", "simulation: {epochs: some}\n"):
        with pytest.raises(ConfigError) as caught:
            load_config(board(text))
        assert caught.value.others == []


def test_a_missing_section_is_named(tmp_path):
    (tmp_path / "small.yaml").write_text("seed: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "small.yaml")
    problems = [str(p) for p in (caught.value, *caught.value.others)]
    assert any("memory: this key is missing" in p for p in problems)


def test_an_error_in_an_extended_file_names_that_file(board):
    board("training:\n  epochs: 0\n", "base.yaml")
    with pytest.raises(ConfigError, match=r"base\.yaml:3: training\.epochs"):
        load_config(board("seed: 2\n", "top.yaml", extends="base.yaml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Neither the value nor a section of this file says where it is from; what the file beneath cites for
        # its own values cannot be the source of another.
        (
            "link: {length: 12 mm}\n",
            r":2: link\.length: nothing says .*found 12 mm; expected a source.*source:",
        ),
        ("memory:\n  rails:\n    VDD2: {IDD0: 50 mA}\n", r":4: memory\.rails\.VDD2\.IDD0: nothing says"),
        ("soc:\n  npu:\n    source: ''\n    clock: 2 GHz\n", r":5: soc\.npu\.clock: nothing says"),
    ],
)
def test_a_value_that_nobody_vouches_for_is_refused(board, text, words):
    with pytest.raises(ConfigError, match=words):
        load_config(board(text))


def test_a_section_speaks_for_the_values_of_its_own_file(board):
    board("soc:\n  source: sheet A\n  npu: {clock: 2 GHz}\n  sram: 1 MiB\n", "base.yaml")
    top = board("soc:\n  source: sheet B\n  static_power: 2 W\n", "top.yaml", extends="base.yaml")
    soc = load_config(top, ["soc.npu.utilisation=0.5", "soc.cpu={utilisation: 0.5, clock: 1 GHz}"]).soc
    assert (soc.npu.clock.source, soc.static_power.source) == ("sheet A", "sheet B")
    assert {q.source for q in (soc.npu.utilisation, soc.cpu.utilisation, soc.cpu.clock)} == {
        "set on the command line"
    }
    assert soc.cpu.energy_per_instruction.source.startswith("not verified")


def test_what_was_chosen_needs_no_source_and_is_known_exactly(board):
    config = load_config(board("soc: {sram: 2 MiB}\nmemory: {controller: {power_down_idle: 1 us}}\n"))
    for chosen in (config.soc.sram, config.memory.controller.power_down_idle):
        assert chosen.low == chosen.value == chosen.high and not chosen.assumed
        assert chosen.source == "a choice"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", "an override is written a.b=value"),
        ("=3", "an override is written a.b=value"),
        ("training..epochs=3", "an override is written a.b=value"),
        ("training.epoch=3", "Did you mean epochs?"),
        ("seed.x=3", "seed is a value, not a section"),
        ("training.epochs=[1", "not valid YAML"),
        ("training.epochs=", "training.epochs"),
        ("link.length=3 lightyears", "is not a unit of length"),
    ],
)
def test_an_error_in_an_override_names_the_option(board, override, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        load_config(board(), [override])
    assert str(caught.value).startswith(f"--set {override}")
