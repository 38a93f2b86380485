"""The in-VM agent runtime. This module imports nothing, which keeps the start-up short."""
