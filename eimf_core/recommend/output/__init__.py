"""The way out: what answers are written as, all from one `recommend.results.Result`.

`result_lines` writes Recommendation lines, with interests and reasons: on stdout, in a stream, over HTTP, in a file.
`csv_rows` and `parquet_rows` write a table, whose rows `result_rows` makes. `file_formats` lists the forms of a file.
"""
