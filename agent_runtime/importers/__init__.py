"""Sessions that other agents have recorded, as transcripts: rollouts of codex, sessions of Claude Code."""
