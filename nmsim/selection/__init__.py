"""Which samples are kept: DE-SNE, and random choice within each class."""

from nmsim.selection.api import create, methods, select
from nmsim.selection.desne import DESNE
from nmsim.selection.random import RandomPerClass
from nmsim.selection.selector import Selector

__all__ = ["DESNE", "RandomPerClass", "Selector", "create", "methods", "select"]
