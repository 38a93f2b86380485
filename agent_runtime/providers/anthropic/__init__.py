"""Anthropic's Messages format: encoding requests, decoding streams, and the client."""
