"""Many runs: batches of requests."""
