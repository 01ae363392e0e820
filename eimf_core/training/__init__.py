"""Training. Importing it sets how OpenMP waits and MKL rounds, which counts only before torch is loaded."""

import os

# spinning threads of two processes on the same cores were seen to slow a step down 40 times
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# otherwise MKL's last bits follow where in memory a matrix lies: the same run gave other bytes each time
os.environ.setdefault("MKL_CBWR", "AUTO")
