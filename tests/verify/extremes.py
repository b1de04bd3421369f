"""Run a tiny board with each key of a section at its smallest, its largest and impossible values.

python extremes.py SECTION prints a line of JSON for each setting before and after it, so that one that
never ends or takes all memory is named.
"""

import faulthandler
import json
import math
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from typer.testing import CliRunner, Result

from nmsim.cli.app import app
from nmsim.config import load_config
from nmsim.config.quantity import Physical, Quantity
from nmsim.config.section import Section
from nmsim.units import base_unit

LPDDR4 = Path(__file__).parents[2] / "hw_configs" / "lpddr4.yaml"

#: A run of a second: what is tried is changed in it.
TINY = {
    "dataset.glyphs": "{n_train: 40, n_test: 10}",
    "selection": "{keep_ratio: 0.5, de_sne: {n_iter: 3, perplexity: 2}}",
    "training": "{network: softmax, epochs: 1, min_steps: 0, seeds: 1, batch_size: 8}",
    "simulation.samples": "100",
    "schemes": "[full, de-sne@nmc]",
}
NUMBERS = ("-1", "0", "0.5", "1", "3", "64", str(2**31), str(2**63), "1e300", "1e-300")
PHYSICAL = ("0", "1e-30", "1e-6", "1", "1e9", "1e30", "1e300")
WRONG = ("text", "[1, 2]", "null")
#: A signal asks a run that takes longer to stop, and it must do so in the time after.
SECONDS_TO_RUN, SECONDS_TO_STOP = 15, 60
MEMORY_BYTES = 8 << 30


def physical(annotation: Any) -> Physical | None:
    """Return what is asked of a physical value, through `| None`."""
    found = (physical(part) for part in get_args(annotation))
    return annotation if isinstance(annotation, Physical) else next(filter(None, found), None)


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the texts that a key may have, through `| None` and `| Literal`."""
    if isinstance(annotation, str):
        return (annotation,)
    return tuple(text for part in get_args(annotation) for text in choices(part))


def settings(section: Section, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key beneath a section with each value to try."""
    fields = {name: getattr(section, name) for name in type(section).model_fields if name != "source"}
    for name, value in {**fields, **(section.__pydantic_extra__ or {})}.items():
        key, field = f"{path}{name}", type(section).model_fields.get(name)
        about = (field.annotation, *field.metadata) if field else ()
        asked = next(filter(None, map(physical, about)), None)
        if isinstance(value, Section):
            yield from settings(value, f"{key}.")
        elif isinstance(value, dict) and any(isinstance(item, Section) for item in value.values()):
            for inner, item in value.items():
                yield from settings(item, f"{key}.{inner}.")
        elif isinstance(value, Quantity) or asked:
            unit = value.unit if isinstance(value, Quantity) else base_unit(asked.dimension)
            yield from ((key, f"{number} {unit}".strip()) for number in PHYSICAL)
        elif isinstance(value, bool):
            yield from ((key, text) for text in ("true", "false"))
        elif texts := tuple(dict.fromkeys(text for part in about for text in choices(part))):
            yield from ((key, text) for text in texts)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield from ((key, number) for number in NUMBERS)
        yield from ((key, text) for text in WRONG)


def numbers(tree: Any) -> Iterator[float]:
    """Yield every number of a JSON tree."""
    if isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from numbers(item)
    elif isinstance(tree, float):
        yield tree


def run(*settings: tuple[str, str]) -> Result:
    words = ["run", "lpddr4", "--json", "--no-report", "--max-memory", "4 GB"]
    for setting in [*TINY.items(), *settings]:
        words += ["--set", "=".join(setting)]
    return CliRunner().invoke(app, words)


def outcome(key: str, value: str) -> str:
    """Return how a run with one setting ended: with finite numbers, in a line, or stopped when asked to."""
    faulthandler.dump_traceback_later(SECONDS_TO_RUN + SECONDS_TO_STOP, exit=True)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.alarm(SECONDS_TO_RUN)
    try:
        result = run((key, value))
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
    errors = [line for line in result.stderr.splitlines() if line.startswith("nmsim: ")]
    if result.exit_code == 0:
        assert all(map(math.isfinite, numbers(json.loads(result.stdout)))), "a number is not finite"
        return "run"
    if result.exit_code == 130:
        return "stopped"
    assert isinstance(result.exception, SystemExit), f"{result.exception!r}"
    assert result.exit_code == 2 and len(errors) == 1, (result.exit_code, result.stderr)
    assert result.stdout == "", "a refused run printed something"
    return "refused"


def main() -> None:
    """Try all settings of the section that the command line names."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background without
    run()  # compiles the kernels, which no signal stops
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    section = sys.argv[1]
    for key, value in settings(getattr(load_config(LPDDR4), section), f"{section}."):
        print(json.dumps([f"{key}={value}", "begun"]), flush=True)
        try:
            ended = outcome(key, value)
        except AssertionError as error:
            ended = f"broken: {error}"
        print(json.dumps([f"{key}={value}", ended]), flush=True)


if __name__ == "__main__":
    main()
