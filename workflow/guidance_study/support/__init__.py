"""Ground floor: what everybody uses and what uses nobody of the package: errors, files, progress,
keyed randomness, settings."""
