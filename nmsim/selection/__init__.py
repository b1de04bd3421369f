"""Which samples are kept: DE-SNE, kernel herding, and random choice within each class."""

from nmsim.selection.api import create, methods, select
from nmsim.selection.desne import DESNE
from nmsim.selection.kernel_herding import KernelHerding
from nmsim.selection.random import RandomPerClass
from nmsim.selection.selector import Selector

__all__ = ["DESNE", "KernelHerding", "RandomPerClass", "Selector", "create", "methods", "select"]
