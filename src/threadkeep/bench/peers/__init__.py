"""Other libraries that keep conversations, each driven through its own public API to do the same work.

A module a library, imported in a process of its own alone; `_peer` says what each of them must do.
"""
