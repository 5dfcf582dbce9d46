"""How well energy models agree with density functional theory on the same crystals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from atomate2_vogen.schemas import DftDoc, ModelAgreement

FEWEST_RANKED = 3
"""Crystals below which a rank correlation says nothing."""


def compared_heights(documents: Sequence[DftDoc]) -> dict[str, dict[str, tuple[float, float]]]:
    """Energies above the lowest known phase of the formula, by each model and by DFT.

    Parameters
    ----------
    documents
        Known phases and finds. Those without an energy are left out, and so is the phase of each
        formula that DFT places lowest: its difference is 0 by definition.

    Returns
    -------
    dict
        By engine of the model, then by `DftDoc.dft_id`: (model, DFT) in eV/atom.
    """
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for one in documents:
        if one.above_known_phase is None or one.crystal == one.lowest_known_phase:
            continue
        for model in one.by_models:
            pair = (model.above_known_phase, one.above_known_phase)
            found.setdefault(model.engine, {})[one.dft_id] = pair
    return found


def model_agreements(documents: Sequence[DftDoc]) -> list[ModelAgreement]:
    """Rank correlation and mean difference of each energy model and DFT.

    Parameters
    ----------
    documents
        Of one DFT scheme, as `compared_heights` takes them.

    Examples
    --------
    >>> from atomate2_vogen.schemas import DftDoc, ModelHeight
    >>> from atomate2_vogen.stability import model_agreements
    >>> documents = [
    ...     DftDoc(
    ...         dft_id=f"VO2-{number}|GPAW-PBE",
    ...         crystal=f"VO2-{number}",
    ...         is_known=False,
    ...         formula="VO2",
    ...         chemsys="O-V",
    ...         scheme="GPAW-PBE",
    ...         engine="gpaw",
    ...         state="completed",
    ...         lowest_known_phase="VO2 P4_2/mnm",
    ...         above_known_phase=height,
    ...         by_models=[ModelHeight(engine="diep", above_known_phase=height + 0.01)],
    ...     )
    ...     for number, height in enumerate([0.02, 0.05, 0.03])
    ... ]
    >>> (agreement,) = model_agreements(documents)
    >>> round(agreement.rank_correlation, 3), round(agreement.mean_absolute_difference, 3)
    (1.0, 0.01)
    """
    agreements = []
    for engine, heights in compared_heights(documents).items():
        pairs = np.array(list(heights.values()))
        ranked = None
        if len(pairs) >= FEWEST_RANKED and (np.ptp(pairs, axis=0) > 0).all():
            ranked = float(spearmanr(*pairs.T).statistic)
        agreements.append(
            ModelAgreement(
                engine=engine,
                n=len(pairs),
                rank_correlation=ranked,
                mean_absolute_difference=float(np.abs(pairs[:, 0] - pairs[:, 1]).mean()),
            )
        )
    return agreements
