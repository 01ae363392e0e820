# Sourced by examples/quickstart.sh and tests/run.sh: makes .venv in the project's root with eimf and
# the extras named in $EXTRAS, from constraints.txt. Does nothing when the environment is up to date.
#   EIMF_VENV    where the environment goes (default .venv)
#   PYTHON       the interpreter it is made with (default python3.11, else python3)
#   EIMF_SKIP_INSTALL=1    take the environment as it is

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${EIMF_VENV:-$ROOT/.venv}"

_interpreter() {
    local name
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "eimf needs Python 3.11 or newer; set PYTHON to it" >&2
    return 1
}

_setup() {
    local python stamp wanted
    wanted="$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum) $ROOT $EXTRAS"
    stamp="$VENV/.eimf-$EXTRAS"
    if [ -x "$VENV/bin/eimf" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    python="$(_interpreter)" || return 1
    if ! command -v c++ >/dev/null && ! command -v g++ >/dev/null; then
        echo "llama-cpp-python is built on installation and needs a C++ compiler (Debian: apt-get install g++)" >&2
        return 1
    fi
    echo "installing into $VENV (the first time this builds llama.cpp, about 5 minutes)" >&2
    if [ ! -x "$VENV/bin/python" ]; then
        "$python" -m venv "$VENV" || { echo "no virtual environment (Debian: apt-get install python3-venv)" >&2; return 1; }
    fi
    # torch first: see constraints.txt
    _pip torch==2.13.0 && _portable_on_virtual_machines _pip -e "$ROOT[$EXTRAS]" && _mend_llama && echo "$wanted" >"$stamp"
}

_pip() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c "$ROOT/constraints.txt" "$@"
}

# Virtual machines announce AMX where their kernel refuses it, and llama.cpp would die of SIGILL.
_portable_on_virtual_machines() {
    if grep -qw amx_tile /proc/cpuinfo 2>/dev/null; then
        local build=-DGGML_NATIVE=OFF
        if grep -qw avx512_vnni /proc/cpuinfo; then
            # prompts are read a third faster, and eight answers written half as fast again
            build+=" -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON"
        fi
        CMAKE_ARGS="${CMAKE_ARGS:-$build}" "$@"
    else
        "$@"
    fi
}

# A wheel in pip's cache may have been built for another processor: try it, and build it anew where it dies.
_mend_llama() {
    if [[ ",$EXTRAS," != *,llama,* ]] || _llama_answers; then
        return
    fi
    echo "llama.cpp of pip's cache does not run on this processor: building it anew" >&2
    CMAKE_ARGS=-DGGML_NATIVE=OFF _pip --force-reinstall --no-deps --no-cache-dir llama-cpp-python
}

_llama_answers() {
    "$VENV/bin/python" - "$ROOT/examples/labeler/shop-labeler.gguf" >/dev/null <<'PYTHON'
import sys

from llama_cpp import Llama

# many tokens at once, since single ones take other instructions
Llama(sys.argv[1], n_ctx=256, n_threads=1, verbose=False).create_completion("lathe kettle " * 16, max_tokens=2)
PYTHON
} 2>/dev/null # what bash itself says of a process that died, too

[ "${EIMF_SKIP_INSTALL:-}" = 1 ] || _setup
