"""Training. Importing it sets how OpenMP waits, which counts only before torch is loaded."""

import os

# spinning threads of two processes on the same cores were seen to slow a step down 40 times
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
