"""Does nmsim work with the oldest versions that it says it works with, installed and away from its source?"""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TESTS = ("config", "data", "report", "formats/test_trace_files.py", "formats/test_trace_exports.py")
TESTS += ("sweep/test_sweep_spec.py", "cli/test_cli_config.py")
SETS = ["dataset.glyphs={n_train: 200, n_test: 40}", "training.network=softmax", "training.epochs=1",
        "training.min_steps=0", "selection.de_sne.n_iter=5"]  # fmt: skip
RUN = ["run", "lpddr4", *(word for setting in SETS for word in ("--set", setting))]


def requirements(key: str = "install_requires", section: str = "options") -> dict[str, str]:
    """Return the lower bounds of setup.cfg by name."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = [line.split(";")[0] for line in setup[section][key].split("\n") if line]
    return {name.strip(): bound.strip() for name, _, bound in (line.partition(">=") for line in lines)}


@pytest.fixture(scope="module")
def oldest(tmp_path_factory):
    """Return the programs of an environment with the lower bounds, exactly."""
    folder = tmp_path_factory.mktemp("oldest")
    uv, programs = [sys.executable, "-m", "uv"], folder / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    tools = requirements("dev", "options.extras_require")
    wanted = [f"{name}>={tools[name]}" for name in ("pytest", "hypothesis", "jsonschema", "optuna")]
    words = [
        *uv,
        "pip",
        "install",
        "--quiet",
        "--resolution",
        "lowest-direct",
        "--python",
        str(programs / "python"),
    ]
    done = subprocess.run([*words, str(ROOT), *wanted], capture_output=True, text=True)
    if "fetch" in done.stderr or "network" in done.stderr:
        pytest.skip(f"no package index can be reached: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return programs


def test_the_lower_bounds_are_what_is_installed_and_carry_a_whole_run(oldest, tmp_path, record_property):
    code = (
        "import sys; from importlib.metadata import version\nfor name in sys.argv[1:]: print(version(name))"
    )
    bounds = requirements()
    words = [str(oldest / "python"), "-c", code, *bounds]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    for (name, bound), version in zip(bounds.items(), found, strict=True):
        assert version.startswith(bound.removesuffix(".0")), f"{name} {version} for >= {bound}"
    for command in (["--version"], ["replay", "ddr4_2400", "traces/mixed.ramulator"], RUN):
        done = subprocess.run([str(oldest / "nmsim"), *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert list(tmp_path.glob("runs/*/report.html"))
    record_property(
        "figure", ("lower bounds", f"{len(bounds)} packages at exactly their bound", "a run and a report")
    )


def test_the_suites_that_lean_on_libraries_pass_with_them(oldest, tmp_path):
    suites = [str(ROOT / "tests" / name) for name in TESTS]
    words = [str(oldest / "python"), "-m", "pytest", *suites, "-m", "not slow", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
