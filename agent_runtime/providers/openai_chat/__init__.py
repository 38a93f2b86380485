"""The Chat Completions format: encoding requests and decoding streams of every compatible server."""
