"""Replay: what records mean. Pure functions over records, no I/O of their own.

Layer 4. Knows records and lineages. The model context, turns and items, and thread metadata are computed here, each by
one state machine that is driven backwards until nothing older can matter, or over everything.
"""
