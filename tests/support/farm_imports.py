"""What workers of the farm import, once for all of them."""

from __future__ import annotations

import atomate2.forcefields.jobs  # noqa: F401
import cheap_engine  # noqa: F401
import farm_engine  # noqa: F401
import fireworks.scripts.rlaunch_run  # noqa: F401
import jobflow.managers.fireworks  # noqa: F401
import pymatgen.io.ase  # noqa: F401
import sampler_job  # noqa: F401
import small_jobs  # noqa: F401
import torch  # noqa: F401

import atomate2_vogen.flows.discovery
import atomate2_vogen.jobs.screening
import atomate2_vogen.stores  # noqa: F401
