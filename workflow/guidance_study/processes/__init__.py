"""Noise processes: schedule, training loss, and a sampler over a denoiser."""
