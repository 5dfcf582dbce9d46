"""Crystal structures as voxel grids, and back."""
