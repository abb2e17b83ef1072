"""The configuration: every key, its meaning, unit and source, validated before any job starts.

Sources in the field descriptions: (paper) stated in arXiv 2503.10638; (recovered) restored from a named source;
(our guess) the paper's text lost it or never said it. Nothing here imports torch or numpy.
"""

from guidance_study.config.loading import ConfigError, load, merge, parse
from guidance_study.config.study import Study

__all__ = ["ConfigError", "Study", "load", "merge", "parse"]
