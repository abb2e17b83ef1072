"""Nearest real samples of a generation's class: the search in a space, and retrieval."""
