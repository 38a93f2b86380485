"""Support for testing programs that launch or embed the runtime: a scripted model server and a pytest plugin.

Only the model is a test double: the runtime is the real program, with real tools. See docs/testing.md.
"""
