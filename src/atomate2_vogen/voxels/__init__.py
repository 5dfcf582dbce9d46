"""Codec between crystal structures and voxel grids."""

from __future__ import annotations

from atomate2_vogen.voxels.codec import VoxelCodec

__all__ = ["VoxelCodec"]
