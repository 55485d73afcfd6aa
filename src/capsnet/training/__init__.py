"""Training with Lightning: module, data, trainer, callbacks, checkpoints, fingerprints."""
