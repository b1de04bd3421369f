"""What the slow checks share with the quick ones on energy and on the store."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "energy"))
sys.path.insert(0, str(Path(__file__).parents[1] / "store"))
