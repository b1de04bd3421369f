"""The phases that every run may have; all others carry the names that a selection gives its steps."""

from __future__ import annotations

#: The mini-batches of the training.
TRAINING = "training"

#: What the host sends to near-memory units before they start: a command for each step.
CONTROL = "control"

#: Entering near-memory mode and leaving it.
MODE_SWITCH = "mode_switch"

#: Writing the indices of what was selected, and reading them; the array that holds them has this name too.
INDICES = "indices"
