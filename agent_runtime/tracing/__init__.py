"""OpenTelemetry: the names of spans and metrics, and how they are sent to a collector or written to a file."""
