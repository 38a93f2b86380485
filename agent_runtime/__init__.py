"""The in-VM agent runtime. This package imports nothing on purpose: starting up costs milliseconds."""
