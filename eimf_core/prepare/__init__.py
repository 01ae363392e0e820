"""The step `prepare`: raw logs and item text to sequences.jsonl and items.jsonl.

`prepare` runs the step. `input_discovery` finds the files and their formats (a file each in `formats/`),
`log_reader` reads them with DuckDB into one table, with `row_checks` for bad rows, `log_arrays` lays it
out, `filters` and `splits` work on it, `sequence_writer`, `item_catalogue` and `report` say what came out.
README.md has the formats, columns, splits, filters and rates.
"""
