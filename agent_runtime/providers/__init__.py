"""The models: pure modules for each wire format, one transport for all, and what wraps them."""
