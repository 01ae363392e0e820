#!/usr/bin/env bash
# From the log of the bundled example shop to recommendations with their reasons: installs into a virtual environment,
# then `eimf run` makes everything in examples/.work/, step by step; a second run makes only what is not up to date.
# After installation it takes under three minutes on two cores.
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
