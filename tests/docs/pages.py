"""A page whose blocks are run as they stand: what is in it, and how each kind of block is carried out.

- `sh`: commands, stopped at the first that fails. `nmsim …` alone runs in this process, all else in bash.
- `python`: run in one namespace for the whole page.
- any block after a line that ends in "`NAME`:": becomes the file NAME.
- `text` after one of them: what it prints must hold these lines, in order. Words with digits stand for
  any word, "…" for anything.

Pages with `<!-- with the source -->` find a copy of nmsim in their folder.

A comment in the line before a block changes what is done with it:

- `<!-- not run: why -->`, `<!-- slow: why -->` (by `make verify` only), `<!-- needs: MODULE -->`, and
  `<!-- exit: CODE -->` where the last command is to end so.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from nmsim.cli.app import app

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"<!-- (not run|slow|needs|exit): (.+) -->")
_FILE = re.compile(r"`([\w./-]+)`:$")
#: What makes a line more than one command with its words.
_SHELL = re.compile(r"[|;&<>$`*~]")


@dataclass(frozen=True)
class Block:
    """What stands between two fences, in which language, from which line of its page on."""

    line: int
    language: str
    content: str
    file: str | None
    marks: dict[str, str]

    def left_out(self, slow: bool) -> bool:
        """Return whether this block is passed over."""
        missing = "needs" in self.marks and importlib.util.find_spec(self.marks["needs"]) is None
        return "not run" in self.marks or missing or ("slow" in self.marks and not slow)


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    marks: dict[str, str] = {}
    file = None
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        if line.startswith("```"):
            content = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                content.append(inner)
            yield Block(number, line.strip("` "), "\n".join(content) + "\n", file, marks)
            marks, file = {}, None
        elif mark := _MARK.fullmatch(line.strip()):
            marks = {**marks, mark[1]: mark[2]}
        elif line.strip():
            named = _FILE.search(line)
            file = named[1] if named else None


@dataclass
class Reader:
    """Someone who does what a page says, in the present folder."""

    printed: str = ""
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})

    def follow(self, block: Block) -> None:
        """Carry one block out."""
        if block.file is not None:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.content, encoding="utf-8")
        elif block.language == "sh":
            self._command(block.content, int(block.marks.get("exit", 0)))
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(block.content, f"line {block.line}", "exec"), self.names)
            self.printed = printed.getvalue()
        elif block.language == "text":
            assert re.search(_pattern(block.content), self.printed, re.DOTALL), self.printed

    def _command(self, commands: str, exit_code: int) -> None:
        lines = [line for line in commands.replace("\\\n", " ").splitlines() if line.strip()]
        if any(_SHELL.search(line) or not line.startswith("nmsim ") for line in lines):
            bash = ["bash", "-euo", "pipefail", "-c", commands]
            ours = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            env = {**os.environ, "PATH": ours, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(bash, env=env, capture_output=True, text=True)
            self.printed, code = done.stdout + done.stderr, done.returncode
        else:
            self.printed, code = "", 0
            for line in lines:
                assert code == 0, self.printed
                result = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
                self.printed, code = self.printed + result.output, result.exit_code
        assert code == exit_code, self.printed


def _pattern(quoted: str) -> str:
    """Return a regular expression for what is quoted, in which words with digits stand for any word."""

    def word(text: str) -> str:
        if text == "…":
            return r".*?"
        return r"\S+" if re.search(r"\d", text) else r"\S*".join(map(re.escape, text.split("…")))

    lines = (r"\s+".join(map(word, line.split())) for line in quoted.splitlines() if line.strip())
    return r"\s.*?".join(lines)
