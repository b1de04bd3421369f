"""The command line: one file a verb, each importing what it needs when it is called."""
