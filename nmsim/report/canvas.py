"""How figures look and become files: PNG, SVG, CSV, and SVG in a page that follows its light or dark mode."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from nmsim.store import fs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

#: What a bar shows as one piece: name -> (components, colour on white, colour on black).
#: A hue for each side of the board and lightness within it, so that the order survives in grey and for
#: colour-blind readers: blue DRAM, orange path, vermilion near memory, grey SoC.
GROUPS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "DRAM rows (ACT, PRE)": (("act", "pre"), "#08306b", "#2f6fd0"),
    "DRAM columns (RD, WR)": (("rd", "wr"), "#2171b5", "#5b9be8"),
    "DRAM on-die buses": (("on_die_bus",), "#56b4e9", "#8cc4f5"),
    "DRAM refresh, standby": (("ref", "background"), "#b9dcf2", "#cfe6fa"),
    "PHY, controller": (("phy", "controller"), "#e69f00", "#e69f00"),
    "board trace, termination": (("trace", "termination"), "#f6d788", "#f6d788"),
    "near-memory units": (("nmc_compute", "nmc_sram", "nmc_leakage"), "#d55e00", "#e8702a"),
    "SoC arithmetic (NPU, CPU)": (("soc_compute", "cpu"), "#3f3f46", "#70707a"),
    "SoC SRAM": (("soc_sram",), "#85858f", "#a0a0aa"),
    "SoC static": (("soc_static",), "#c9c9d0", "#d6d6dc"),
}

#: A scheme's colour (on white, on black) and marker, by its place in the run: Okabe and Ito's palette,
#: black first; the markers tell schemes apart without colour. Colours on white are unique across this module,
#: some by their last digit: a figure's SVG finds the colour on black by them.
SCHEMES = [
    ("#202024", "#f0f0f4", "s"),
    ("#7d8590", "#a9b1bb", "o"),
    ("#d55e01", "#e8702b", "D"),
    ("#0072b2", "#56b4ea", "^"),
    ("#009e73", "#2cc295", "v"),
    ("#cc79a7", "#dd93bb", "P"),
    ("#e69f01", "#e69f01", "X"),
    ("#885500", "#c58a2e", "*"),
]

INK, FAINT, PAPER = "#1b1b1f", "#8e8e97", "#fefefe"
_DARK_INK, _DARK_FAINT, _DARK_PAPER = "#e7e7ea", "#8b8b95", "#17181c"

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.35,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "out",
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's colour
    "svg.hashsalt": "nmsim",  # the same run gives the same file
    "text.parse_math": False,  # names of schemes and data sets are not formulas
    "path.simplify": True,
}


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure with the numbers that it shows, and what they say.

    Attributes
    ----------
    name : str
        Becomes the files' names.
    title : str
        A heading for people.
    figure : matplotlib Figure
        The drawing. It is laid out when it is first drawn, and not touched afterwards.
    data : DataFrame
        What is drawn, tidy, with units in the column names.
    sentence : str
        What the figure shows, computed from the data.
    """

    name: str
    title: str
    figure: Figure
    data: pd.DataFrame
    sentence: str = ""

    def save(self, folder: Path) -> list[Path]:
        """Write `<name>.png`, `<name>.svg` and `<name>.csv` to a folder; return their paths."""
        png, svg, csv = (folder / f"{self.name}.{kind}" for kind in ("png", "svg", "csv"))
        fs.write_bytes(png, self.png())
        fs.write_text(svg, self.svg_file())
        fs.write_text(csv, self.data.to_csv(index=False, lineterminator="\n"))
        return [png, svg, csv]

    def png(self) -> bytes:
        """Return the figure as a PNG on white, its sentence among the metadata."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        buffer = io.BytesIO()
        about = {"Software": None, "Title": self.title, "Description": self.sentence}
        with self._laid_out():
            # Not `savefig`, here and below: that draws everything twice.
            FigureCanvasAgg(self.figure).print_png(buffer, metadata=about)
        return buffer.getvalue()

    def svg(self) -> str:
        """Return the figure as SVG text to put into a page: transparent, colours as CSS variables."""
        return _for_page(self._drawn_svg, self.name, self._label)

    def svg_file(self) -> str:
        """Return the figure as an SVG file of its own, on white."""
        text = self._drawn_svg
        end_of_tag = text.index(">", text.index("<svg")) + 1
        about = f"<title>{escape(self.title)}</title><desc>{escape(self.sentence)}</desc>"
        return (
            f'{text[:end_of_tag]}{about}<rect width="100%" height="100%" fill="{PAPER}"/>{text[end_of_tag:]}'
        )

    @property
    def _label(self) -> str:
        return f"{self.title}. {self.sentence}".strip()

    @cached_property
    def _drawn_svg(self) -> str:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        buffer, canvas = io.StringIO(), self.figure.canvas
        with self._laid_out():
            self.figure.patch.set_visible(False)  # a page shows through
            self.figure.dpi = _RASTER_DPI
            FigureCanvasSVG(self.figure).print_svg(buffer, metadata={"Date": None})
            self.figure.patch.set_visible(True)
            self.figure.dpi = _PNG_DPI
        self.figure.set_canvas(canvas)
        return _HOVERED.sub(r"<g><title>\2</title>", buffer.getvalue())

    @contextmanager
    def _laid_out(self) -> Iterator[None]:
        """Lay the figure out once for all formats, by the dots of PNG: it takes as long as a drawing."""
        with drawing():
            engine = self.figure.get_layout_engine()
            if engine is not None:
                engine.execute(self.figure)
                self.figure.set_layout_engine("none")
            yield


#: Dots an inch of PNG files, and of what an SVG holds as dots, such as thousands of points.
_PNG_DPI, _RASTER_DPI = 150, 110
_HOVER = "hover:"
#: matplotlib quotes an id that holds double quotes with single ones.
_HOVERED = re.compile(rf"""<g id=(["']){_HOVER}(.*?)\1>""")
_Drawn = TypeVar("_Drawn", bound="Artist")


def hovered(artist: _Drawn, text: str) -> _Drawn:
    """Return the mark, which says `text` where a pointer rests on it in an SVG; such as its value."""
    artist.set_gid(_HOVER + text)
    return artist


@contextmanager
def drawing() -> Iterator[None]:
    """Hold matplotlib's settings at its own and this module's for the block, the caller's afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(height_in: float, width_in: float = 7.4) -> Figure:
    """Return an empty figure that knows no window and no global state, its parts laid out by constraint."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=_PNG_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def scheme_style(index: int) -> dict[str, Any]:
    """Return what a mark of the scheme at place `index` of its run looks like: keywords of a plot.

    Where the colours come round again marks are hollow, and take the next marker in each further round.
    """
    turn, place = divmod(index, len(SCHEMES))
    colour, marker = SCHEMES[place][0], SCHEMES[(place + turn) % len(SCHEMES)][2]
    if turn == 0:
        return {"color": colour, "marker": marker, "mfc": colour, "mec": PAPER, "mew": 0.5}
    return {"color": colour, "marker": marker, "mfc": PAPER, "mec": colour, "mew": 1.2}


def scheme_line(index: int) -> object:
    """Return the line style of the scheme at place `index` of its run: broken where its marks are hollow."""
    return "-" if index < len(SCHEMES) else (0, (4, 1.5))


def css_colours() -> tuple[str, str]:
    """Return the CSS variables of all colours that figures use: for light pages, for dark pages."""
    light, dark = [], []
    for name, (on_white, on_black) in _variables().items():
        light.append(f"--{name}:{on_white};")
        dark.append(f"--{name}:{on_black};")
    return "".join(light), "".join(dark)


def _variables() -> dict[str, tuple[str, str]]:
    named = {"ink": (INK, _DARK_INK), "faint": (FAINT, _DARK_FAINT), "paper": (PAPER, _DARK_PAPER)}
    named |= {f"g{i}": (light, dark) for i, (_, light, dark) in enumerate(GROUPS.values())}
    named |= {
        f"t{i}": (_tone(light, i), _tone(dark, i)) for i, (_, light, dark) in enumerate(GROUPS.values())
    }
    named |= {f"s{i}": (light, dark) for i, (light, dark, _) in enumerate(SCHEMES)}
    return named


def tone_on_group(name: str) -> str:
    """Return the colour of text on a piece of this group, black or white, whichever can be read better."""
    index = list(GROUPS).index(name)
    return _tone(GROUPS[name][1], index)


def _tone(colour: str, index: int) -> str:
    """Return nearly black or nearly white, in a shade of the group's own so that a page finds it again."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Contrast by WCAG 2 is (brighter + 0.05) / (darker + 0.05): black wins above this luminance.
    return f"#0808{index:02x}" if luminance > 0.179 else f"#fcfc{0xF0 + index:02x}"


_BY_COLOUR = {light: name for name, (light, _) in _variables().items()}


def _for_page(svg: str, name: str, title: str) -> str:
    """Return matplotlib's SVG file as an element: ids made unique, sizes left to CSS, colours by name."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', rf'\1 role="img" aria-label="{escape(title)}"', svg, count=1)
    svg = re.sub(r"#[0-9a-f]{6}\b", _as_variable, svg)
    # Points of 1/72 inch need no more than two decimals; that is a third of the page.
    svg = _TAG.sub(lambda tag: _DECIMALS.sub(r"\1", tag.group()), svg)
    # Text without a colour of its own is black in SVG; in a page it is the page's ink.
    return svg.replace("<svg ", '<svg fill="var(--ink)" ', 1).strip()


_TAG = re.compile(r"<(?:path|use|g|rect|text)\b[^>]*>")
_DECIMALS = re.compile(r"(\d\.\d\d)\d+")


def _as_variable(match: re.Match[str]) -> str:
    name = _BY_COLOUR.get(match.group())
    return match.group() if name is None else f"var(--{name})"
