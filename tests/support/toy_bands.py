"""Electrons of a toy: bands periodic in k, split by spin and by Hubbard U.

Oxygen p states are full; the d states of each metal atom hold one electron, all of spin up if
the crystal starts magnetic: with spin a half metal, whose gap of spin down widens with U;
without spin a metal.
"""

from __future__ import annotations

import numpy as np

WIDTH = 0.05  # eV, of every level in the density of states


def moments(symbols: list[str], initial: list[float], ispin: int) -> list[float]:
    """Moment of each atom in µB: ±1 for a metal atom that starts with more than 0.02, else 0."""
    return [
        float(np.sign(start)) if ispin == 2 and symbol != "O" and abs(start) > 0.02 else 0.0
        for symbol, start in zip(symbols, initial, strict=True)
    ]


def bands(
    kpoints: np.ndarray, symbols: list[str], nelect: float, nbands: int, total: float, u: float
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (2, k, n) in eV, sorted, and the share (2, k, n) of d states in each band."""
    metals = sum(symbol != "O" for symbol in symbols)
    valence = round((nelect - metals) / 2)
    index = np.arange(nbands)
    is_d = index >= valence
    dispersion = np.cos(2 * np.pi * kpoints).sum(axis=1) / 3
    energies = np.empty((2, len(kpoints), nbands))
    for spin, split in enumerate((0.0, 2.0 + 0.3 * u)):
        rank = np.where(is_d, index - valence, valence - 1 - index)
        flat = np.where(is_d, 0.3 * rank / max(metals, 1), -2.0 - 0.2 * rank / max(metals, 1))
        flat = flat + np.where(is_d & (total > 0), split, 0.0)
        width = np.where(is_d, 0.8, -0.6)
        energies[spin] = flat + width * dispersion[:, None]
    order = np.argsort(energies, axis=-1, kind="stable")
    shares = np.broadcast_to(is_d.astype(float), energies.shape)
    return np.take_along_axis(energies, order, -1), np.take_along_axis(shares, order, -1)


def fermi_level(energies: np.ndarray, weights: np.ndarray, nelect: float, ispin: int) -> float:
    """Energy in eV up to which levels are filled; the middle of a gap."""
    channels = energies[:ispin]
    flat = channels.reshape(-1)
    each = np.broadcast_to(weights[None, :, None] * (2 / ispin), channels.shape).reshape(-1)
    order = np.argsort(flat)
    filled = np.cumsum(each[order])
    last = int(np.searchsorted(filled, nelect - 1e-6))
    last = min(last, len(order) - 2)
    return float((flat[order[last]] + flat[order[last + 1]]) / 2)


def density(
    grid: np.ndarray, energies: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian-broadened density of states in states/eV and its integral, on an energy grid."""
    step = grid[1] - grid[0]
    edges = np.append(grid - step / 2, grid[-1] + step / 2)
    each = np.broadcast_to(weights[:, None], energies.shape)
    histogram, _ = np.histogram(energies, bins=edges, weights=each)
    half = int(np.ceil(4 * WIDTH / step))
    kernel = np.exp(-((np.arange(-half, half + 1) * step / WIDTH) ** 2) / 2)
    states = np.convolve(histogram / step, kernel / kernel.sum(), mode="same")[: len(grid)]
    return states, np.cumsum(states) * step
