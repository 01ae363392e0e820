#!/usr/bin/env bash
# From the log of the bundled example shop to recommendations with their reasons: installs into a virtual environment,
# then `eimf run` makes everything in examples/.work/, step by step; a second run makes only what is not up to date.
# After installation it takes under three minutes on two cores, and one more where a real language model is asked too.
set -euo pipefail
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

# The labels above are a toy's. What a real language model says of four of these customers, where one is at hand.
real="$(ls -S "${EIMF_MODELS:-$HOME/.cache/eimf-models}"/*.gguf 2>/dev/null | head -n 1 || true)"
if [ -n "$real" ]; then
    four=examples/.work/four
    head -n 4 examples/.work/samples.jsonl >"$four.jsonl"
    label=(label "$four.jsonl" --model "$real" --force -o "$four.labels.jsonl")
    echo >&2
    echo "\$ eimf ${label[*]}" >&2
    if eimf "${label[@]}"; then
        echo
        python - "$four.labels.jsonl" "$(basename "$real")" <<'PYTHON'
import json
import sys

toy, real = ({line["user"]: line for line in map(json.loads, open(path))} for path in ("examples/.work/labels.jsonl", sys.argv[1]))
for user, label in real.items():
    for name, said in (("the toy", toy[user]), (sys.argv[2], label)):
        print(f"{user}, {name}: " + (", ".join(interest["name"] for interest in said["interests"]) or said["error"]))
PYTHON
    fi
fi
