"""The agent loop and the interfaces that it calls: model, tool, executor, limits. No I/O."""
