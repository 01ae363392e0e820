#!/usr/bin/env bash
# A night in a shop: the whole log in, a warm start from the model that serves, both compared on the same users,
# recommendations for everybody. What serves is the folder that SHOP/current leads to; it changes in one step, at the
# end of a night that went well.
#   nightly.sh LOG [LOG ...]
#   SHOP     the folder of the shop (default shop)
#   ITEMS    item text, if it does not lie beside the log
#   CONFIG   options of the steps (TOML, a table for each)
#   KEEP     nights that are kept (default 7)
# crontab: 0 3 * * * cd /srv/shop && bash nightly.sh logs/*.csv.gz >>nightly.log 2>&1
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
shop="${SHOP:-shop}"
keep="${KEEP:-7}"
WORSE=3 # how not_worse.py says so
[ $# -gt 0 ] || { echo "usage: nightly.sh LOG [LOG ...]" >&2; exit 2; }
[ "$keep" -gt 0 ] || { echo "KEEP is $keep: at least the night that serves is kept" >&2; exit 2; }
mkdir -p "$shop/nights"

# one night at a time: the lock ends with the process, however it ends
exec 9>"$shop/.lock"
if ! flock -n 9; then
    echo "$shop: another night is at work; nothing was done" >&2
    exit 75
fi

config=()
[ -z "${CONFIG:-}" ] || config=(--config "$CONFIG")
items=()
[ -z "${ITEMS:-}" ] || items=(--items "$ITEMS")

# what a night that failed left is kept: its steps resume
next="$shop/next"
data="$next/data" model="$next/model" serving="$shop/current/model"
mkdir -p "$next"

eimf prepare "$@" ${items[@]+"${items[@]}"} ${config[@]+"${config[@]}"} -o "$data"
if [ -e "$serving/manifest.json" ]; then
    eimf train "$data" --init "$serving" ${config[@]+"${config[@]}"} -o "$model"
    eimf eval "$model" "$serving" "$data" -k 10 -o "$next/metrics.jsonl"
    answer=0
    python "$here/not_worse.py" "$next/metrics.jsonl" "$model" "$serving" || answer=$?
    if [ "$answer" -ne 0 ] && [ "$answer" -ne "$WORSE" ]; then
        exit "$answer" # the comparison itself failed: the night is not over
    fi
    if [ "$answer" -eq "$WORSE" ]; then
        # whole or not at all: into half a model no later night could train
        rm -rf "$next/serving"
        cp -R "$serving/." "$next/serving"
        rm -rf "$model"
        mv -T "$next/serving" "$model"
    fi
else
    eimf train "$data" ${config[@]+"${config[@]}"} -o "$model"
    eimf eval "$model" "$data" -k 10 -o "$next/metrics.jsonl"
fi
eimf recommend "$model" --all-users "$data" ${config[@]+"${config[@]}"} -o "$next/recommendations.parquet"

night="$(date +%Y-%m-%dT%H%M%S)-$$"
mv -T "$next" "$shop/nights/$night"
# -f: of a night that was killed here
ln -sfn "nights/$night" "$shop/.current.new"
mv -T "$shop/.current.new" "$shop/current"
echo "$shop/current: $night serves" >&2

# the oldest nights go; the one that serves is the latest
ls -1d "$shop"/nights/* | head -n "-$keep" | while IFS= read -r old; do rm -rf "$old"; done
