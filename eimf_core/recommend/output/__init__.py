"""The way out: what answers are written as, all from one `recommend.results.Result`.

`result_lines` writes Recommendation lines, with interests and reasons: on stdout, in a stream, over HTTP, in a file.
`recommendation_lines` writes them to a file for all users, `csv_rows` and `parquet_rows` a table, whose rows
`result_rows` makes. `file_formats` lists the forms of a file.
"""
