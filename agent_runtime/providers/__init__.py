"""The models: a pure file for each wire format, a transport for each SDK, and what wraps them."""
