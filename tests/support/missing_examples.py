"""Public classes and functions that have no example yet; the list may only become shorter."""

MISSING = {
    "flows.evaluation.EvaluateMaker",
    "flows.launchpads.open_launchpad",
    "flows.recovery.recover",
    "flows.screening.ScreeningFlowMaker",
    "flows.submission.submit",
    "jobs.characterisation.characterise_best",
    "jobs.characterisation.select_best",
    "jobs.evaluation.evaluate",
    "jobs.later.make_later",
    "jobs.references.collect_references",
    "jobs.references.make_reference",
    "jobs.stability.summarise",
    "managers.local.Event",
    "managers.local.Failure",
    "managers.local.FlowResult",
    "models.training.pipeline.train_wgan",
    "models.training.stages.train_vae",
    "phonons.harmonic.phonopy_from_document",
    "plotting.electronic.plot_electronic",
}
