"""The persistent shell and the interactive sessions: starting commands, reading their output, ending them."""
