"""Do kernels keep within their arrays, and do the tests reach their branches?

Compiled code neither checks indices nor can be traced. So one lane compiles with checks, which turn an index
out of range into an IndexError, and one leaves the kernels uncompiled and counts the branches that tiny cases
take.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

#: Modules whose functions are compiled. Left out are those of the trainer and of methods that train, whose
#: products are written in LLVM's own instructions (nmsim/training/tiles.py), which Python cannot run, and the
#: calls and threads around kernels.
KERNELS = (
    "nmsim/dram/address.py", "nmsim/dram/candidates.py", "nmsim/dram/checker_kernel.py",
    "nmsim/dram/hit_stream.py", "nmsim/dram/near.py", "nmsim/dram/queues.py", "nmsim/dram/rules.py",
    "nmsim/dram/scheduler.py",
    "nmsim/dram/upkeep.py", "nmsim/selection/greedy_kernels.py", "nmsim/selection/kernel_herding_kernels.py",
    "nmsim/selection/map_kernels.py", "nmsim/selection/mesh.py", "nmsim/selection/neighbour_kernels.py",
    "nmsim/selection/pooling_kernels.py", "nmsim/selection/searches.py",
    "nmsim/trace/command_files.py", "nmsim/trace/exporters/drampower.py", "nmsim/trace/importers_kernel.py",
)  # fmt: skip

#: Suites that hold kernels against their twins, formulas or bounds, and take seconds uncompiled too.
SMALL = (
    "scheduling/test_policies.py", "scheduling/test_sharing.py", "scheduling/test_streams.py",
    "timings/test_checker.py", "timings/test_lpddr.py", "timings/test_ddr_hbm.py", "timings/test_address.py",
    "formats/test_import_requests.py", "formats/test_import_samples.py", "formats/test_command_exports.py",
    "selection/test_selection_embedding.py", "selection/test_selection_mesh.py",
    "selection/test_selection_affinities.py", "selection/test_selection_formats.py",
    "selection/test_selection_features.py", "selection/test_selection_sampling.py",
    "selection/test_greedy_selections.py", "selection/test_kernel_herding.py",
    "scheduling/test_laws.py", "hostile/test_fuzzing.py",
)  # fmt: skip
#: What takes minutes uncompiled, or asks what only compiled code answers.
COMPILED_ONLY = (
    "no_more_memory", "threads", "digits", "separate_clusters", "nearly_as_good", "more_iterations",
    "binds_exactly", "binds_only", "halving_the_spacing",
)  # fmt: skip

#: Suites besides, for the checks of indices.
LARGE = (
    "scheduling/test_reference_sharing.py", "selection/test_network_patches.py",
    "training/test_training_layers.py", "training/test_training_model.py",
)  # fmt: skip


def suites(*names: str) -> list[str]:
    return [str(ROOT / "tests" / name) for name in names]


def pytest_in(folder: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    """Run pytest in a process of its own that compiles for itself."""
    search = os.pathsep.join([str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": search} | env
    words = [*words, "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "few_examples"]
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True)


def test_no_kernel_leaves_its_arrays(tmp_path, record_property):
    env = {"NUMBA_BOUNDSCHECK": "1"}
    probe = "import numba, numpy\nnumba.njit(lambda a, i: a[i])(numpy.zeros(3), 3)"
    said = subprocess.run([sys.executable, "-c", probe], env=os.environ | env, capture_output=True, text=True)
    assert "IndexError" in said.stderr, "the checks are not on"
    done = pytest_in(tmp_path, env, "-m", "pytest", *suites(*SMALL, *LARGE), "-k", "not nearly_as_good")
    assert done.returncode == 0, done.stdout[-4000:]
    measured = f"{done.stdout.count('.'):,} tests with checked indices"
    record_property("figure", ("NUMBA_BOUNDSCHECK=1", measured, "no index out of range"))


def test_tiny_cases_take_nine_in_ten_branches_of_the_kernels(tmp_path, record_property):
    env = {"NUMBA_DISABLE_JIT": "1", "COVERAGE_FILE": str(tmp_path / "coverage")}
    traced = ["-m", "coverage", "run", "--branch", f"--include={','.join(KERNELS)}", "-m", "pytest"]
    left_out = f"not ({' or '.join(COMPILED_ONLY)})"
    done = pytest_in(tmp_path, env, *traced, *suites(*SMALL), "-k", left_out, "--durations=15")
    report = [sys.executable, "-m", "coverage", "json", "-q", "-o", str(tmp_path / "report.json")]
    subprocess.run(report, cwd=ROOT, env=os.environ | env, check=True)
    found = json.loads((tmp_path / "report.json").read_text())
    shares = {
        name: round(of["summary"]["percent_branches_covered"], 1) for name, of in found["files"].items()
    }
    print(shares, done.stdout[-4000:], sep="\n")
    assert done.returncode == 0
    assert {Path(name).as_posix() for name in shares} == set(KERNELS)
    totals = found["totals"]
    share = totals["covered_branches"] / totals["num_branches"]
    assert share >= 0.9
    measured = (
        f"{totals['covered_branches']:,} of {totals['num_branches']:,} branches, {len(KERNELS)} modules"
    )
    record_property("figure", ("NUMBA_DISABLE_JIT=1", measured, f"{share:.1%} taken; 90 % are asked for"))
