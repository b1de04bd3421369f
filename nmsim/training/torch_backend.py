"""Training in PyTorch, for networks that are too large for the NumPy backend, on a GPU where there is one.

The first weights, the order of the images, their augmentation, the schedule and the costs are those of the
NumPy backend. Two things differ: batch normalisation takes its statistics from the whole batch, and the last
bits depend on PyTorch, its device and its number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError as error:
    from nmsim.errors import ConfigError

    raise ConfigError(
        "PyTorch cannot be imported, and training.backend: torch needs it",
        found=str(error),
        hint="Install it (pip install 'nmsim[torch]'), or choose training.backend: numpy.",
    ) from error

from nmsim.training.chain import Chain, Residual
from nmsim.training.layers import (
    RUNNING_SHARE,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool2d,
    ReLU,
)
from nmsim.training.model import Model
from nmsim.training.numpy_backend import Task
from nmsim.training.optim import CLIP_NORM
from nmsim.training.planes import Shape

#: Images that are shown at a time where nothing is learnt.
SHOWN = 500


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


def module(chain: Chain) -> nn.Sequential:
    """Return a chain as a PyTorch module, one child a layer, with PyTorch's own first weights."""
    return nn.Sequential(*(_layer(layer, shape) for layer, shape in chain.pairs))


def _layer(layer: Layer, shape: Shape) -> nn.Module:
    match layer:
        case Conv2d():
            sizes = layer.channels, layer.kernel, layer.stride, layer.padding
            return nn.Conv2d(shape[0], *sizes, bias=layer.bias)
        case Dense():
            return nn.Linear(shape[0], layer.units)
        case BatchNorm2d():
            return nn.BatchNorm2d(shape[0], eps=layer.floor, momentum=RUNNING_SHARE)
        case MaxPool2d():
            return nn.MaxPool2d(layer.window)
        case AvgPool2d():
            return nn.AvgPool2d(layer.sides(shape))
        case ReLU():
            return nn.ReLU()
        case Flatten():
            return nn.Flatten()
        case Residual():
            return _Residual(*(module(chain) for chain in layer.chains(shape)))
    raise TypeError(type(layer).__name__)


def _tensors(chain: Chain, built: nn.Sequential) -> Iterator[tuple[torch.Tensor, bool]]:
    """Yield a view of each parameter and statistic in the order of flat arrays, and if it is a statistic.

    The view's axes are nmsim's: weights (kernel rows, kernel columns, inputs, outputs).
    """
    for (layer, shape), part in zip(chain.pairs, built, strict=True):
        if isinstance(layer, Residual):
            for inner, child in zip(layer.chains(shape), (part.body, part.shortcut), strict=True):
                yield from _tensors(inner, child)
        elif isinstance(layer, BatchNorm2d):
            yield from ((part.weight.data, False), (part.bias.data, False))
            yield from ((part.running_mean, True), (part.running_var, True))
        elif isinstance(layer, Conv2d | Dense):
            axes = (2, 3, 1, 0) if isinstance(layer, Conv2d) else (1, 0)
            yield part.weight.data.permute(axes), False
            if part.bias is not None:
                yield part.bias.data, False


def fill(chain: Chain, built: nn.Sequential, parameters: np.ndarray, statistics: np.ndarray) -> None:
    """Put nmsim's flat parameters and running statistics into a module."""
    left = {False: torch.from_numpy(parameters.copy()), True: torch.from_numpy(statistics.copy())}
    for tensor, kind in _tensors(chain, built):
        values, left[kind] = left[kind].split([tensor.numel(), left[kind].numel() - tensor.numel()])
        tensor.copy_(values.reshape(tensor.shape))


def read(chain: Chain, built: nn.Sequential) -> tuple[np.ndarray, np.ndarray]:
    """Return a module's parameters and running statistics as nmsim's flat arrays, copied."""
    found: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for tensor, kind in _tensors(chain, built):
        found[kind].append(tensor.reshape(-1).cpu().numpy())
    empty = np.zeros(0, np.float32)
    return np.concatenate([empty, *found[False]]), np.concatenate([empty, *found[True]])


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class _Images:
    """Normalised images on the device."""

    def __init__(self, X: np.ndarray, mean: np.ndarray, scale: np.ndarray):
        device = _device()
        self._X = torch.from_numpy(X.copy()).to(device)
        self._mean, self._scale = (torch.from_numpy(a.copy()).to(device) for a in (mean, scale))

    def of(self, rows: np.ndarray, moves: np.ndarray | None = None) -> torch.Tensor:
        """Return images (n, channels, height, width) of these rows, moved as by `augmentation.draw`."""
        images = (self._X[torch.from_numpy(rows).to(self._X.device)] - self._mean) * self._scale
        if moves is None:
            return images.permute(0, 3, 1, 2).contiguous()
        n, height, width, _ = images.shape
        flip, down, right = torch.from_numpy(moves.astype(np.int64)).to(self._X.device).T[:, :, None]
        y = torch.arange(height, device=self._X.device) + down
        x = torch.arange(width, device=self._X.device)
        x = torch.where(flip > 0, width - 1 - x, x) + right
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        place = torch.arange(n, device=self._X.device)[:, None, None]
        moved = images[place, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
        return (moved * inside[..., None]).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, eq=False)
class TorchModel(Model):
    """A model whose images PyTorch computes; `parameters` and `statistics` are nmsim's, and copies."""

    def last_layer(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return embeddings and probabilities as `Model.last_layer` does."""
        built = module(self.network)
        fill(self.network, built, self.parameters, self.statistics)
        built.to(_device()).eval()
        images = _Images(X, self.mean, self.scale)
        embeddings, probabilities = [], []
        with torch.no_grad():
            for start in range(0, len(X), SHOWN):
                into = built[:-1](images.of(np.arange(start, min(start + SHOWN, len(X)))))
                embeddings.append(into.flatten(1).cpu().numpy())
                probabilities.append(functional.softmax(built[-1](into), dim=1).cpu().numpy())
        return np.concatenate(embeddings), np.concatenate(probabilities)

    def accuracy(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return the share of the images X to which the model gives their class y."""
        return float((self.last_layer(X)[1].argmax(axis=1) == y).mean())


class TorchTraining:
    """A training under way; see `NumpyTraining`, whose interface it has."""

    def __init__(self, task: Task):
        torch.set_num_threads(numba.get_num_threads())
        self._task, model = task, task.model
        self._built = module(model.network)
        fill(model.network, self._built, model.parameters, model.statistics)
        self._built.to(_device())
        self._images = _Images(task.X, model.mean, model.scale)
        self._labels = torch.from_numpy(task.y).to(_device())
        self._optimiser = torch.optim.SGD(
            self._built.parameters(), lr=0.0, momentum=task.momentum, weight_decay=task.weight_decay
        )

    def __enter__(self) -> TorchTraining:
        return self

    def __exit__(self, *exception: object) -> None:
        """Keep nothing open."""

    @property
    def model(self) -> TorchModel:
        """Return the network as it stands, copied."""
        first = self._task.model
        return TorchModel(first.network, *read(first.network, self._built), first.mean, first.scale)

    def step(self, batch: np.ndarray, moves: np.ndarray | None, rate: float) -> tuple[float, int]:
        """Take one step, and return the batch's summed loss and its right answers."""
        labels = self._labels[torch.from_numpy(batch).to(self._labels.device)]
        self._built.train()
        logits = self._built(self._images.of(batch, moves))
        loss = functional.cross_entropy(logits, labels)
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._built.parameters(), CLIP_NORM)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        return loss.item() * batch.size, int((logits.argmax(dim=1) == labels).sum())
