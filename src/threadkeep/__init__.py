"""threadkeep: the thread store for AI agents."""
