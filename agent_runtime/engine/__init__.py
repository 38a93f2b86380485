"""One run, from a validated request to its exit status: configuration, object graph, supervision."""
