"""The version, here alone; reading it from the installed distribution would cost 30 ms of every start."""

VERSION = "0.1.0"
