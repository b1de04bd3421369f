"""The map that a selection was made in, with the images that were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmsim.report.canvas import FAINT, Plot, drawing, new_figure
from nmsim.report.verdict import format_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The colour of what is selected.
CHOSEN = "#d55e00"
#: Images that are drawn, and stand in the figure's data, at most.
MOST = 50_000
#: Length of a picture's side, and of a panel's, in inches.
_PICTURE_IN, _PANEL_IN = 0.26, 1.42


def selection_map(selection: Mapping[str, np.ndarray], class_limit: int = 15) -> Plot:
    """Return the map that the selection was made in, a panel per class, the selected images marked.

    Parameters
    ----------
    selection : mapping
        `embedding` (n, 2), `labels` (n,) and `selected` (m,), as in `Run.selection`; and, where the images
        are known, `pictured` and `pictures` as `nmsim.selection.pictures.pictures` returns them.
    class_limit : int
        Panels at most; more classes than that are left out, and of images beyond `MOST` all but every k-th.
        The whole map is in the run's `selection.npz`.
    """
    embedding, labels = np.asarray(selection["embedding"], dtype=float), selection["labels"]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[selection["selected"]] = True
    classes = list(np.unique(labels))[:class_limit]
    shown = np.flatnonzero(np.isin(labels, classes))
    shown = shown[:: -(-len(shown) // MOST)]
    columns = min(5, len(classes))
    rows = -(-len(classes) // columns)
    with drawing():
        figure = new_figure(0.55 + (_PANEL_IN + 0.2) * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, label in zip(axes, classes, strict=False):
            own = labels == label
            for marked, style in ((False, {"s": 2.5, "color": FAINT}), (True, {"s": 7, "color": CHOSEN})):
                x, y = embedding[shown[own[shown] & (chosen[shown] == marked)]].T
                ax.scatter(x, y, linewidths=0, rasterized=True, **style)
            _place_pictures(ax, selection, own)
            ax.set_title(f"class {label}: {int((own & chosen).sum())} of {int(own.sum())}", fontsize=8)
            ax.set_xticks([])
            ax.set_yticks([])
            for spine in ax.spines.values():
                spine.set(visible=True, alpha=0.4)
        for ax in axes[len(classes) :]:
            ax.set_axis_off()
        seen = "selected, some with their images" if "pictures" in selection else "selected"
        figure.supxlabel(f"map coordinates (no unit); orange: {seen}; grey: not", fontsize=8.5)
    x, y = embedding[shown].T
    data = pd.DataFrame({"x": x, "y": y, "label": labels[shown], "selected": chosen[shown], "image": shown})
    said = _quotas(labels, chosen, len(classes), len(shown))
    return Plot("selection_map", "What was selected", figure, data, said)


def _place_pictures(ax: Axes, selection: Mapping[str, np.ndarray], own: np.ndarray) -> None:
    """Draw images at their places in the map, but those that would cover one that is drawn already."""
    from matplotlib.colors import Normalize
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    points = np.asarray(selection["embedding"], dtype=float)[own]
    low = points.min(axis=0)
    span = float((points.max(axis=0) - low).max()) or 1.0
    middle, half = (points.max(axis=0) + low) / 2, 0.5 * span * (1 + _PICTURE_IN / _PANEL_IN)
    ax.set_xlim(middle[0] - half, middle[0] + half)
    ax.set_ylim(middle[1] - half, middle[1] + half)
    ax.set_box_aspect(1)
    if "pictures" not in selection:
        return
    apart, placed = 2.2 * half * _PICTURE_IN / _PANEL_IN, np.empty((0, 2))
    for number, image in zip(selection["pictured"], selection["pictures"], strict=True):
        place = np.asarray(selection["embedding"][number], dtype=float)
        if not own[number] or (np.abs(placed - place).max(axis=1) < apart).any():
            continue
        placed = np.vstack([placed, place])
        grey = image.shape[-1] == 1
        drawn = OffsetImage(
            image[..., 0] if grey else image,
            zoom=72 * _PICTURE_IN / max(image.shape[:2]),
            cmap="gray",
            norm=Normalize(0, 255) if grey else None,
            interpolation="nearest",
        )
        frame = {"edgecolor": CHOSEN, "linewidth": 0.9, "facecolor": "none"}
        ax.add_artist(AnnotationBbox(drawn, tuple(place), pad=0, bboxprops=frame, zorder=5))


def _quotas(labels: np.ndarray, chosen: np.ndarray, panels: int, shown: int) -> str:
    classes, sizes = np.unique(labels, return_counts=True)
    shares = np.array([chosen[labels == label].sum() for label in classes]) / sizes
    left_out = f"; the first {panels} of {len(classes)} classes are drawn" if panels < len(classes) else ""
    drawn = int(sizes[:panels].sum())
    left_out += f"; of their {drawn:,} images every {-(-drawn // MOST)}th is drawn" if shown < drawn else ""
    return (
        f"Each panel is one class in the map that the selection was made in; {format_share(shares.min())} "
        f"(least) to {format_share(shares.max())} (most) of a class are selected{left_out}."
    )
