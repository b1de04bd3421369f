"""Many configurations of one board: a grid, random points or a search, shared work done once, resumable."""
