"""Artefacts on disk: written, verified, published, explained, cleaned."""
