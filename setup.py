"""What setup.cfg cannot say: boards and traces lie beside the package, and go into it where it is built."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from nmsim._version import BUILT_FROM, git_revision  # noqa: E402 (a build begins elsewhere)

#: `nmsim.shipped` looks for them in the package and, in a checkout, beside it.
SHIPPED = ("hw_configs", "traces")


def name_revision(package: Path) -> None:
    """Write into a package what it is built from, where that is known."""
    if revision := git_revision(HERE / "nmsim"):
        (package / BUILT_FROM).write_text(revision + "\n", encoding="ascii")


class BuildPackage(build_py):
    """Adds the boards, the traces and the revision; an editable package has its checkout's."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            package = Path(self.build_lib) / "nmsim"
            for name in SHIPPED:
                shutil.rmtree(package / name, ignore_errors=True)
                shutil.copytree(HERE / name, package / name)
            name_revision(package)


class SourceArchive(sdist):
    """Adds the revision."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Lay out the files that are packed."""
        super().make_release_tree(base_dir, files)
        name_revision(Path(base_dir) / "nmsim")


setup(cmdclass={"build_py": BuildPackage, "sdist": SourceArchive})
