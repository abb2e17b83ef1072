"""Configuration -> recipes -> graph: addresses, stages, sizes, what a job asks for. Imports no torch and no numpy."""
