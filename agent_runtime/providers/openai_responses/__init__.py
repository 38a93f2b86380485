"""OpenAI's Responses format: encoding requests and decoding streams."""
