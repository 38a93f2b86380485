"""The Agent Client Protocol, version 1: sessions of an editor or another client, each prompt a run on a thread."""
