#!/bin/sh
# GPAW in an environment of its own, on Debian. It is GPL-3 and never imported by this package:
# the engine `gpaw` talks to it through files, as a separate program.
#
#   sh install.sh [FOLDER]      # default: gpaw-env in the current folder
#
# As root, or first install the six Debian packages named below. Building takes about a minute.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-gpaw-env}
packages="gcc libxc-dev libopenblas-dev libfftw3-dev libopenmpi-dev openmpi-bin"

if ! dpkg -s $packages >/dev/null 2>&1; then
    apt-get update
    apt-get install -y --no-install-recommends $packages
fi
"${PYTHON:-python3}" -m venv "$folder"
GPAW_CONFIG="$here/siteconfig.py" \
    "$folder/bin/pip" install --no-binary gpaw "gpaw>=26,<27"

folder=$(cd "$folder" && pwd)
"$folder/bin/python" -c "import gpaw; print('GPAW', gpaw.__version__)"
echo "Tell the engine where it is:"
echo "  export GPAW_COMMAND='$folder/bin/python'                             # one process"
echo "  export GPAW_COMMAND='mpiexec -n 2 $folder/bin/gpaw python'           # two"
