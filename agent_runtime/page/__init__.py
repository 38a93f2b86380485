"""The pages that people look at: the application at `/` of the server, and the report of one run."""
