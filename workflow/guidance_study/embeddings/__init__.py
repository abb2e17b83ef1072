"""Embeddings: one file each. images (N, *shape) float32 in [-1, 1] -> features (N, D) float32.

Every kind has `embed(samples, network)` for one batch. `stored` says whether features are worth a stage of their own
that keeps them: so it is with pretrained networks, which also have `weights` and `network()`, the network loaded.
"""
