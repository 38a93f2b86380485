"""Development servers: which ports the run listens on, their URLs, and the dev_url events."""
