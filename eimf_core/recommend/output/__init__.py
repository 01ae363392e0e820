"""The way out: `results.Result` holds the answers as columns, whatever is written of them.

`result_lines` writes Recommendation lines, with interests and reasons. `result_rows` makes rows of a table for
`--all-users`, and `row_formats` lists the files that these are written to.
"""
