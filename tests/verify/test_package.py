"""Does what is published hold all that a user needs, and no more, and know what it was built from?"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import nmsim

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def git(*words):
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout


def tracked(*folders):
    return set(git("ls-files", *folders).split())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the source archive, and the wheel that is built from it alone."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return archive, wheel


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """Return a folder with the wheel's files."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(built[1]) as wheel:
        wheel.extractall(folder)
    return folder


def test_the_wheel_holds_the_package_its_boards_and_traces_and_nothing_else(unpacked):
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    facts = {path for path in found if path.startswith(f"nmsim-{nmsim.__version__}.dist-info/")}
    expected = tracked("nmsim") | {f"nmsim/{path}" for path in tracked("hw_configs", "traces")}
    assert found - facts == expected | {"nmsim/_revision"}


def test_the_source_archive_holds_every_file_of_the_checkout_but_those_for_its_keepers(built):
    with tarfile.open(built[0]) as archive:
        found = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    missing = tracked() - found
    assert {path.split("/")[0] for path in missing} <= {".ci", ".gitignore"}, missing
    made = {path for path in found - tracked() if not path.startswith("nmsim.egg-info/")}
    assert made == {"PKG-INFO", "nmsim/_revision"}


def test_an_installed_copy_runs_in_an_empty_folder_and_names_its_revision(unpacked, tmp_path):
    def printed(*words):
        code = f"import sys; sys.path[0] = {str(unpacked)!r}\n{words[0]}"
        program = [sys.executable, "-c", code, *words[1:]]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    start = "from nmsim.cli.app import main; main()"
    assert printed("import nmsim; print(nmsim.__file__)") == f"{unpacked / 'nmsim' / '__init__.py'}\n"
    version = printed(start, "--version")
    assert version.startswith(f"nmsim {nmsim.__version__} ({git('rev-parse', 'HEAD').strip()}")
    assert f"boards, sweeps: {unpacked / 'nmsim' / 'hw_configs'}\n" in printed(start, "boards")
    assert "lpddr4: ok" in printed(start, "config", "check", "lpddr4")
    assert "row hits" in printed(start, "replay", "ddr4_2400", "traces/mixed.ramulator")
