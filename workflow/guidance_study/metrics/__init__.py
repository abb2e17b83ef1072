"""Numbers that judge samples: features or labels in, plain floats out. None knows a dataset or a model."""
