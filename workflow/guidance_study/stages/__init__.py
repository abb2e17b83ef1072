"""Where science meets the store: a stage makes one artefact, `make(job)`, from finished ones and its parameters."""
