"""Public classes and functions that have no example yet; the list may only become shorter."""

MISSING = {
    "flows.launchpads.open_launchpad",
    "flows.recovery.recover",
    "flows.submission.submit",
    "models.training.pipeline.train_wgan",
    "models.training.stages.train_vae",
    "phonons.harmonic.phonopy_from_document",
    "plotting.electronic.plot_electronic",
}
