"""The eyes: which files changed, which servers listen."""
