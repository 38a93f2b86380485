"""What crosses the process boundary: requests, events, messages and control lines, as pydantic models. No I/O."""
