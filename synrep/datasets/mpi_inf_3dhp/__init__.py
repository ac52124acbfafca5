"""Reader of MPI-INF-3DHP, from the data set's own files or P-STMO's archives."""
