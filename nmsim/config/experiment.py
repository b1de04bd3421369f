"""What is asked of a board: data set, selection, training, schemes, and how they are simulated."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from nmsim.config.section import Clocks, Count, Section, Side, Spelt
from nmsim.errors import closest
from nmsim.schemes import FULL, METHOD, PATTERN, PLACES, RANDOM, Scheme


class Glyphs(Section):
    """The generated default data set."""

    n_train: Count = Field(12_000, description="Training images.")
    n_test: Count = Field(2_000, description="Test images.")


class Synthetic(Section):
    """Random bytes of a chosen number and size, which take next to no memory; for questions of cost."""

    n_train: Count = Field(description="Training images.")
    n_test: Count = Field(1, description="Test images.")
    height: Side = Field(description="Pixels.")
    width: Side = Field(description="Pixels.")
    channels: Side = Field(3, description="Bytes of a pixel.")
    n_classes: Annotated[int, Field(ge=2, le=2**16, strict=True)] = Field(
        10, description="Classes, of equal size to within one image."
    )


class DatasetSection(Section):
    """Which images; `path` wins over `synthetic`, and both over `name`."""

    name: Literal["glyphs", "digits", "cifar10", "cifar100", "mnist", "fashion-mnist"] = Field(
        "glyphs", description="A data set that nmsim knows; `nmsim data list` says which are here."
    )
    path: str | None = Field(None, description="A folder or a file in a supported format.")
    glyphs: Glyphs = Glyphs()
    synthetic: Synthetic | None = None


class DeSne(Section):
    """The stages of DE-SNE; docs/explanation/de-sne.md says which choices are nmsim's."""

    scope: Literal["per_class", "global"] = Field(
        "per_class", description="One map of each class, or one of all."
    )
    features: Literal["raw", "pool", "random_projection", "pca"] = Field(
        "pool", description="What distances are taken between."
    )
    pool_size: Annotated[int, Field(ge=1, le=64, strict=True)] = Field(
        2, description="Side in pixels of what features: pool takes the mean of."
    )
    n_features: Annotated[int, Field(ge=1, le=2**20, strict=True)] = Field(
        50, description="Values of an image that features: random_projection and pca make."
    )
    perplexity: Annotated[float, Field(gt=1, le=2**20, strict=True)] = Field(
        30.0, description="Neighbours that an image counts as near."
    )
    search: Literal["bisection", "absolute", "fireworks"] = Field(
        "bisection", description="Of each image's width; only bisection is sure to reach the perplexity."
    )
    kernel: Literal["student", "gaussian"] = Field(
        "student", description="Of the map: student is t-SNE, gaussian symmetric SNE."
    )
    forces: Literal["auto", "exact", "interpolated"] = Field(
        "auto", description="Of the map: auto interpolates in maps of thousands of images."
    )
    n_iter: Count = Field(500, description="Iterations of the embedding.")
    early_exaggeration: Annotated[float, Field(ge=1, le=1000, strict=True)] = Field(
        4.0, description="Factor on the attraction in the first iterations."
    )
    exaggeration_share: Annotated[float, Field(ge=0, le=1, strict=True)] = Field(
        0.1, description="Share of the iterations that early_exaggeration holds in."
    )
    learning_rate: Annotated[float, Field(gt=0, le=1000, strict=True)] = Field(
        1.0, description="Times the images of a map over early_exaggeration: the step of an iteration."
    )
    sampling: Literal["grid_uniform", "grid_proportional", "medoid", "entropy"] = Field(
        "medoid", description="How images are picked from the map."
    )


MethodName = Annotated[str, Spelt(rf"^{METHOD}$", "a method's name: letters, digits, dots, - and _")]

_SIMPLE = {"type": ["boolean", "number", "string"]}


def _check_setting(value: Any) -> Any:
    if not all(
        isinstance(v, bool | int | float | str) for v in (value if isinstance(value, list) else [value])
    ):
        raise ValueError("expected true, false, a number, a text, or a list of these")
    return value


Setting = Annotated[
    Any,
    AfterValidator(_check_setting),
    WithJsonSchema({"anyOf": [_SIMPLE, {"type": "array", "items": _SIMPLE}]}),
]


class Selection(Section):
    """How much is kept, and how."""

    keep_ratio: Annotated[float, Field(gt=0, le=1, strict=True)] = Field(
        0.1, description="Share of the training images that is kept."
    )
    de_sne: DeSne = DeSne()
    methods: dict[MethodName, dict[str, Setting]] = Field(
        {}, description="Parameters of the other methods, by the method's name; its class says which it has."
    )

    def path(self, method: str) -> tuple[str, ...]:
        """Return the keys that lead to the parameters of a method."""
        return ("selection", "de_sne") if method == "de-sne" else ("selection", "methods", method)

    def parameters(self, method: str) -> dict[str, Any]:
        """Return the parameters of a method by their names, as far as they are given."""
        if method == "de-sne":
            return self.de_sne.model_dump(exclude={"source"})
        return dict(self.methods.get(method, {}))


class Training(Section):
    """The training that follows every selection."""

    network: Literal["softmax", "mlp", "cnn-s", "cnn-m", "resnet-8", "resnet-18"] = Field(
        "cnn-s", description="softmax, mlp, or a convolutional network; resnet-18 needs the backend torch."
    )
    backend: Literal["numpy", "torch", "none"] = Field(
        "numpy",
        description="What trains; torch where PyTorch is installed, on a GPU where there is one; none: "
        "nothing is learnt, only what a training costs is counted.",
    )
    augmentation: Literal["none", "flip", "flip_crop"] = Field(
        "none", description="Mirrors half of the images anew in every epoch; flip_crop shifts them too."
    )
    epochs: Count = Field(5, description="Of every scheme.")
    min_steps: Clocks = Field(
        400, description="Where `epochs` are fewer optimiser steps than this, whole epochs are added."
    )
    batch_size: Count = Field(32, description="Images of an optimiser step.")
    learning_rate: Annotated[float, Field(gt=0, strict=True)] = Field(0.05, description="At the start.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="How the learning rate falls.")
    momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = Field(
        0.9, description="Of stochastic gradient descent."
    )
    weight_decay: Annotated[float, Field(ge=0, strict=True)] = Field(5e-4, description="L2 penalty.")
    seeds: Annotated[int, Field(ge=1, le=1000, strict=True)] = Field(
        3, description="Trainings that the accuracy is a mean over."
    )


class Simulation(Section):
    """How much of the long repetitive work is simulated access by access; the rest is scaled, and said."""

    epochs: Count | Literal["all"] = Field(
        "all", description="Training epochs that are simulated; the others are scaled."
    )
    iterations: Count = Field(2, description="Simulated repeats of a repeated step, of n.")
    tiles: Count | Literal["all"] = Field(
        32, description="Steps that the units play at least of a row of alike ones; each stands for some."
    )
    samples: Annotated[int, Field(ge=100, le=100_000, strict=True)] = Field(
        2000, description="Boards drawn from the ranges of all values, for the 5 to 95 % bands."
    )


class Trace(Section):
    """The energy trace."""

    level: Literal["access", "window", "off"] = Field(
        "window",
        description="access: every access; window: the first of each phase, the rest as sums; off: none.",
    )
    rows_per_phase: Annotated[int, Field(ge=0, le=10**9, strict=True)] = Field(
        20_000, description="Accesses written one by one at the start of each phase (level window)."
    )


SCHEMES = (FULL, RANDOM, "de-sne@nmc", "de-sne@host", "kernel-herding@nmc")


def _check_form(scheme: str) -> str:
    """Refuse what is no scheme, whatever methods there are."""
    if not re.match(PATTERN, scheme):
        found = Scheme.parse(scheme)
        expected = "expected full, random, or METHOD@PLACE with the place host or nmc"
        if not found.place:
            near = closest(scheme, (FULL, RANDOM)) or f"{scheme}@nmc"
        elif found.is_selection:
            near = f"{found.method}@{closest(found.place, PLACES)}"
        else:
            near, expected = found.method, f"{found.method} reads no image to choose, and has no place"
        raise PydanticCustomError(
            "scheme",
            expected,
            {"hint": f"Did you mean {near}?" if re.match(PATTERN, near) else None},
        )
    return scheme


#: A scheme in a configuration: the text of a `Scheme`.
SchemeName = Annotated[
    str, AfterValidator(_check_form), WithJsonSchema({"type": "string", "pattern": PATTERN})
]
