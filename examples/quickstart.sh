#!/usr/bin/env bash
# From the log of the bundled example shop to recommendations with their reasons: installs into a virtual environment,
# then `eimf run` makes everything in examples/.work/, step by step; a second run makes only what is not up to date.
# After installation it takes under three minutes on two cores. A language model labels four of the customers too, where
# there is one: EIMF_MODEL_FILE=FILE.gguf in its environment, or else the first qwen*.gguf in the folder EIMF_MODELS
# (~/.cache/eimf-models if not given).
set -euo pipefail
model="${EIMF_MODEL_FILE:-}"
for file in "${EIMF_MODELS:-${HOME:-}/.cache/eimf-models}"/qwen*.gguf; do
    [ -n "$model" ] || [ ! -f "$file" ] || model="$file"
done
model="${model:+$(realpath -- "$model")}"
cd "$(dirname "$0")/.."
EXTRAS=llama
source examples/environment.sh
export PATH="$VENV/bin:$PATH" HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive

run=(run examples/shop/interactions.csv --items examples/shop/items.jsonl -o examples/.work)
run+=(--config examples/configs/shop.toml) # options of the steps: which users are labelled, and by which model
echo "\$ eimf ${run[*]}" >&2
eimf "${run[@]}"

ask=(recommend examples/.work/model --items S1200,S1214,S1352,S1354 -k 6 --table)
echo >&2
echo "\$ eimf ${ask[*]}" >&2
eimf "${ask[@]}"

# The labels above are a toy's. What a real model says of four of these customers.
if [ -n "$model" ]; then
    name="$(basename "$model" .gguf)"
    head -n 4 examples/.work/samples.jsonl >examples/.work/four.jsonl
    label=(label examples/.work/four.jsonl --model "$model" --max-error-share 100% -o "examples/.work/four.$name.jsonl")
    echo >&2
    echo "\$ eimf ${label[*]}" >&2
    eimf "${label[@]}"
    echo
    python - "examples/.work/four.$name.jsonl" "$name" <<'PYTHON'
import json
import sys

toy, real = ({line["user"]: line for line in map(json.loads, open(path))} for path in ("examples/.work/labels.jsonl", sys.argv[1]))
for user, label in real.items():
    for name, said in (("the toy", toy[user]), (sys.argv[2], label)):
        print(f"{user}, {name}: " + (", ".join(interest["name"] for interest in said["interests"]) or said["error"]))
PYTHON
fi
