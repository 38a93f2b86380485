"""Transcripts: recording a run, reading the recording, and playing it back."""
