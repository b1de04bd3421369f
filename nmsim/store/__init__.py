"""Files on disk: atomic writing, run folders and their provenance."""
