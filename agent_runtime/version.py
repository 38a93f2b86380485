"""The version. Reading it from the metadata of the installed distribution would take 30 ms at every start."""

VERSION = "0.1.0"
