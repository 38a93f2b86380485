"""For testing whatever launches or embeds the runtime: a scripted model, runs and replays against it, and a pytest
plugin.

The model is the only double: the runtime is the real program, its tools are real. See docs/testing.md.
"""
