"""A Codex home, or one of threadkeep's own in the same layout."""

from threadkeep.backends.local._backend import LocalBackend
from threadkeep.backends.local._files import Files

__all__ = ["Files", "LocalBackend"]
