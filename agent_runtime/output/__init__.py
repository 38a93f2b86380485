"""The event stream on stdout: writing events, deltas, heartbeats, and masking secrets."""
