"""Files and streams: what is read, what is written, and what is known of it afterwards.

`raw_files` opens, `unpacking` takes compressed files apart, `jsonl` and `toml_file` read lines and settings, `files`
writes whole or not at all. `outputs` claims what a command writes and `provenance` says beside it how it came about.
`directories` puts a directory in its place at once, `parquet_files` and `sql_text` are for DuckDB, `weights_file` for
safetensors, `hub` for files of the Hugging Face Hub. `system_files` is the one module that asks what the operating
system has.
"""
