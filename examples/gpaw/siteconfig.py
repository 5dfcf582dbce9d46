"""Build settings of GPAW on Debian; `install.sh` hands them to the build."""

compiler = "mpicc"
mpi = True
fftw = True
libraries = ["xc", "fftw3", "openblas"]
