#!/usr/bin/env bash
# The six steps on the bundled example shop, from nothing to recommendations with their reasons.
# Makes a virtual environment, installs, and writes everything to examples/.work/; a second run
# reuses what is there. After installation it takes under three minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
EXTRAS=llama
source examples/environment.sh
export PATH="$VENV/bin:$PATH" HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive

shop=examples/shop
work=examples/.work
mkdir -p "$work"

# run a step unless its output is newer than everything it reads
step() {
    local output=$1 name=$2
    shift 2
    echo >&2
    echo "\$ eimf $name $*" >&2
    for input in "${inputs[@]}"; do
        if [ ! -e "$output" ] || [ "$input" -nt "$output" ]; then
            eimf "$name" "$@"
            return
        fi
    done
    echo "  ($output is up to date)" >&2
}

inputs=("$shop/interactions.csv" "$shop/items.jsonl")
step "$work/data/sequences.jsonl" prepare "$shop/interactions.csv" --items "$shop/items.jsonl" -o "$work/data"

inputs=("$work/data/sequences.jsonl")
step "$work/samples.jsonl" cluster "$work/data" --budget 10% -o "$work/samples.jsonl"

inputs=("$work/samples.jsonl" examples/labeler/shop-labeler.gguf)
step "$work/labels.jsonl" label "$work/samples.jsonl" --model bundled --force -o "$work/labels.jsonl"

inputs=("$work/data/sequences.jsonl" "$work/labels.jsonl")
step "$work/model/manifest.json" train "$work/data" --labels "$work/labels.jsonl" -o "$work/model"

inputs=("$work/model/manifest.json" "$work/data/sequences.jsonl")
step "$work/metrics.jsonl" eval "$work/model" "$work/data" -o "$work/metrics.jsonl"

user=$(head -n 1 "$work/samples.jsonl" | "$VENV/bin/python" -c 'import json, sys; print(json.loads(sys.stdin.readline())["user"])')
echo >&2
echo "\$ eimf recommend $work/model --user $user --sequences $work/data/sequences.jsonl -k 10 --table" >&2
eimf recommend "$work/model" --user "$user" --sequences "$work/data/sequences.jsonl" -k 10 --table
