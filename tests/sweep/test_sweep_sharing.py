"""Do points share exactly what they have in common?"""

import numpy as np
import pytest
from sweep_samples import BOARD, write_spec

from nmsim.config import load_config
from nmsim.config.schema import quantities
from nmsim.config.variation import with_values
from nmsim.sweep.local import InProcess
from nmsim.sweep.run import planned
from nmsim.sweep.spec_file import read_spec
from nmsim.sweep.stages import point_stages
from nmsim.system.course import course_key


def stages(tmp_path, grid):
    """Return the keys of all stages of each point, by kind."""
    points = planned(read_spec(write_spec(tmp_path, f"grid:\n{grid}")))
    found = [list(point_stages(point.config, point.key).all()) for point in points]
    return [
        {kind: [s.key for s in of if s.key.startswith(kind)] for kind in ("select", "learn", "course")}
        for of in found
    ]


def test_boards_share_what_is_learnt_and_prices_share_even_the_course(tmp_path):
    buffer, other = stages(tmp_path, "  near_memory.buffer: [1 KiB, 8 KiB]\n")
    assert buffer["select"] == other["select"] and buffer["learn"] == other["learn"]
    full, near = (pair[0] == pair[1] for pair in zip(buffer["course"], other["course"], strict=True))
    assert full and not near
    cheap, dear = stages(tmp_path, "  link.phy: [1 pJ/bit, 2 pJ/bit]\n")
    assert cheap == dear


@pytest.mark.parametrize(
    ("axis", "shared"),
    [
        ("training.epochs: [1, 2]", {"select"}),
        ("selection.keep_ratio: [0.2, 0.3]", {"learn of full"}),
        ("seed: [1, 2]", set()),
        ("near_memory.format: [int8, fp16]", {"learn of full"}),
    ],
)
def test_what_learning_depends_on_is_not_shared(tmp_path, axis, shared):
    tmp = write_spec(tmp_path, "")
    tmp.write_text(tmp.read_text().replace("k-center", "de-sne"))
    one, two = (
        {"select": s["select"], "learn of full": s["learn"][0], "learn": s["learn"][1], "course": s["course"]}
        for s in stages_of(tmp, axis)
    )
    assert {kind for kind in one if one[kind] == two[kind]} - {"course"} == shared


def stages_of(path, axis):
    path.write_text(path.read_text() + f"grid:\n  {axis}\n")
    points = planned(read_spec(path))
    for point in points:
        found = list(point_stages(point.config, point.key).all())
        yield {
            kind: [s.key for s in found if s.key.startswith(kind)] for kind in ("select", "learn", "course")
        }


@pytest.mark.parametrize("board", ["lpddr4", "hbm2"])
def test_what_a_course_is_said_not_to_depend_on_changes_no_count(board):
    small = ["dataset.glyphs={n_train: 100, n_test: 20}", "schemes=[full, de-sne@nmc]", "trace.level=off"]
    small += ["training={network: softmax, epochs: 1, min_steps: 0, seeds: 1}", "selection.de_sne.n_iter=3"]
    config = load_config(BOARD.with_name(f"{board}.yaml"), small)
    # Every physical value without a say, at the end of its range that is further off.
    other = config
    for path, quantity in quantities(config).items():
        moved = with_values(config, {path: quantity.high if quantity.high > quantity.value else quantity.low})
        if all(course_key(moved, scheme) == course_key(config, scheme) for scheme in config.schemes):
            other = with_values(other, {path: quantities(moved)[path].value})
    changed = [path for path, q in quantities(other).items() if q.value != quantities(config)[path].value]
    assert {"operations.add_fp32", "near_memory.sram_read_factor", "soc.static_power"} <= set(changed)
    counts = []
    for each in (config, other):
        results = {}
        for stage in point_stages(each, "point", share=False).needs:
            run(stage, results)
        counts.append([r for key, r in results.items() if key.startswith("course")])
    for one, two in zip(*counts, strict=True):
        assert one.phases == two.phases and one.outcomes == two.outcomes
        assert one.ledger._work == two.ledger._work
        assert one.ledger._commands.keys() == two.ledger._commands.keys()
        for key in one.ledger._commands:
            assert np.array_equal(one.ledger._commands[key], two.ledger._commands[key])


def run(stage, results):
    if stage.key not in results:
        results[stage.key] = stage.work(stage.config, stage.scheme, *(run(n, results) for n in stage.needs))
    return results[stage.key]


def test_sharing_changes_no_result(tmp_path):
    points = planned(read_spec(write_spec(tmp_path, "grid:\n  near_memory.buffer: [1 KiB, 8 KiB]\n")))
    found = []
    for share in (True, False):
        engine = InProcess()
        found.append([r for _, r in engine.run([point_stages(p.config, p.key, share) for p in points])])
    assert found[0] == found[1]
