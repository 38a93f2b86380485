"""Change tracking: which files of the workspace changed, and the diff of each."""
