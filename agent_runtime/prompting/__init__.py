"""Agent definitions and the system prompts rendered from them."""
