"""Embeddings: one file each. images (N, *shape) float32 in [-1, 1] -> features (N, D) float32."""
