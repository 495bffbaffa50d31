"""The faces that measure: generated threads, and what the store takes on them."""
