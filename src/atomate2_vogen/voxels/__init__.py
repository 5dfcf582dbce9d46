"""Crystal structures as voxel grids, and back."""

from __future__ import annotations

from atomate2_vogen.voxels.codec import VoxelCodec

__all__ = ["VoxelCodec"]
