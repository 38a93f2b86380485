"""The models: pure modules for each wire format, one transport for all of them, and the models that wrap them."""
