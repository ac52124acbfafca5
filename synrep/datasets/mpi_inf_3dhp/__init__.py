"""MPI-INF-3DHP as it lies on a user's disk."""
