"""How fast `eimf prepare` is and how much memory it takes, on logs of any size that it makes itself.

    python -m tests.benchmarks.prepare_speed --rows 1000000 --rows 20000000 [--memory-limit 2GB] [--long-ids]

Each size is a CSV file (user, item, time, rating; a few very active users, a few very popular items)
made with a fixed recipe, prepared with the temporal split and a 5-core by a process of its own.
Prints one JSON line a run: wall and CPU seconds, rows a second of wall time and of CPU time, peak
resident memory in MiB, bytes in and out and the hash of the output. Files are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ITEMS = 200_000
A_USER = 100  # interactions on average


def generate(path: Path, rows: int, long_ids: bool) -> None:
    """Write the log; hashes of the row number stand for chance, so that threads do not matter."""
    prefix = "a-rather-long-user-identifier-" if long_ids else "U"
    share = "(hash({row}, {salt}) % 1000000007) / 1000000007.0"
    user = f"floor({max(1, rows // A_USER)} * pow({share.format(row='range', salt=1)}, 1.5))::BIGINT"
    item = f"floor({ITEMS} * pow({share.format(row='range', salt=2)}, 3))::BIGINT"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT '{prefix}' || {user} AS user, 'B' || lpad({item}::VARCHAR, 9, '0') AS item, "
            "1500000000 + hash(range, 3) % 100000000 AS time, 1 + hash(range, 4) % 5 AS rating "
            f"FROM range({rows})) TO '{path}' (HEADER)"
        )


def measure(log: Path, output: Path, options: list[str]) -> dict[str, object]:
    """Prepare the log in a process of its own."""
    command = [sys.executable, "-m", "eimf_cli", "prepare", str(log), "--min-user", "5", "--min-item", "5"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, *options, "-q", "-o", str(output)])
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"eimf prepare failed with {process.returncode}")
    digest = subprocess.run(["sha256sum", output / "sequences.jsonl"], capture_output=True, text=True, check=True)
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mib": used.ru_maxrss // 1024,
        "bytes_out": (output / "sequences.jsonl").stat().st_size,
        "sha256": digest.stdout[:16],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="rows of a log; may be repeated")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each size")
    parser.add_argument("--long-ids", action="store_true", help="user ids of 30 characters and more")
    parser.add_argument("--memory-limit", help="passed on")
    parser.add_argument("--threads", type=int, default=2, help="passed on")
    parser.add_argument("--folder", type=Path, help="where the files go (default: the system's temporary folder)")
    arguments = parser.parse_args()
    options = ["--threads", str(arguments.threads)]
    if arguments.memory_limit:
        options += ["--memory-limit", arguments.memory_limit]
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        for rows in arguments.rows or [1_000_000]:
            log = folder / "log.csv"
            generate(log, rows, arguments.long_ids)
            for _ in range(arguments.repeat):
                # what is there already would be hashed first, to see whether it was changed
                shutil.rmtree(folder / "out", ignore_errors=True)
                found = measure(log, folder / "out", options)
                figures = {
                    "rows": rows,
                    "threads": arguments.threads,
                    "bytes_in": log.stat().st_size,
                    "rows_a_second": round(rows / float(str(found["seconds"]))),
                    "rows_a_cpu_second": round(rows / float(str(found["cpu_seconds"]))),
                    **found,
                }
                print(json.dumps(figures), flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
