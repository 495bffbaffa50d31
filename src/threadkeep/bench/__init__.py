"""The faces that measure: generated threads, and what the store takes on them.

Knows the store and everything below it. `threadkeep demo` and `threadkeep bench` show what is measured here.
"""

from threadkeep.bench._generate import CheckpointAge, Generated, Recipe, generate

__all__ = ["CheckpointAge", "Generated", "Recipe", "generate"]
