"""The message history of a run: input, normalization, token counts, compaction, stored threads."""
