"""The configuration: every key, its meaning, unit and source, validated before any job starts.

Sources in the field descriptions: (paper) stated in arXiv 2503.10638; (recovered) restored from a named source;
(our guess) the paper's text lost it or never said it. Nothing here imports torch or numpy. This page imports nothing,
since every job passes it: `loading` reads and validates, `study` is the whole.
"""
