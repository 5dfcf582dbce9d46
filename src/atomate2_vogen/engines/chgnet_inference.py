"""CHGNet for use, not for training: one pass backwards instead of two.

`CHGNet` differentiates the energy by the positions, then by the strain, and keeps both gradients
differentiable, as its training needs. A relaxation needs the numbers alone.
"""

from __future__ import annotations

from typing import Any

import torch
from chgnet.model.dynamics import CHGNetCalculator
from chgnet.model.model import CHGNet

GPA = 160.21766208
"""Of one eV/Å³, to the digits with which CHGNet was trained."""


class InferenceCHGNet(CHGNet):
    """`CHGNet` with forces and stresses from one gradient, equal up to rounding."""

    def _compute(
        self, g: Any, *, compute_force: bool = False, compute_stress: bool = False, **rest: Any
    ) -> dict[str, Any]:
        prediction: dict[str, Any] = super()._compute(g, **rest)
        positions = list(g.atom_positions) if compute_force else []
        strains = list(g.strains) if compute_stress else []
        if not positions and not strains:
            return prediction
        energy = prediction["e"]
        if self.is_intensive:
            energy = energy * prediction["atoms_per_graph"]
        gradients = torch.autograd.grad(energy.sum(), [*positions, *strains])
        if compute_force:
            prediction["f"] = [-gradient for gradient in gradients[: len(positions)]]
        if compute_stress:
            scales = GPA / g.volumes
            by_strain = gradients[len(positions) :]
            prediction["s"] = [a * scale for a, scale in zip(by_strain, scales, strict=True)]
        return prediction


def for_inference(calculator: object) -> None:
    """Let a calculator's model be an `InferenceCHGNet`, if it is a CHGNet; leave any other."""
    if isinstance(calculator, CHGNetCalculator) and type(calculator.model) is CHGNet:
        calculator.model.__class__ = InferenceCHGNet
        calculator.model.requires_grad_(requires_grad=False)
