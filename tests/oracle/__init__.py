"""Plain forward definitions of what threadkeep computes, and what the real Codex binary showed of them."""
