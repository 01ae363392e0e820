"""The step `prepare`: raw logs and item text to sequences.jsonl and items.jsonl.

README.md has the formats, columns, splits, filters and rates.

The step:
    `config`: the settings
    `prepare`: one call, from arguments to a directory
    `log_loading`: logs read and filtered
    `log_arrays`: the log as flat arrays
    `filters`: what each drops
    `splits`: training part, histories and targets of each user
    `user_split`: a by-user split made elsewhere
    `ready_sequences`: sequences with a split made elsewhere
    `sequence_writer`: `sequences.jsonl`
    `item_catalogue`: the items with their text
    `raw_text`: markup taken out of it
    `report`: counts and quantiles
    `output_directory`: files that appear together

Finding files:
    `log_sources`: what arguments stand for
    `log_files`: the files of a log and their first lines
    `remote`: https, s3, gs, hf
    `archives`: unpacked within bounds
    `containers`: packed files, other encodings
    `workbook`: Excel
    `memory_tables`: tables in memory
    `published_sets`: where data sets are to be had
    `input_discovery`: which format a file has
    `formats/`: a file for each format
    `format_fit`: whether a format that is named reads a file
    `line_format`: a format that is a function

Reading rows:
    `duckdb_session`: DuckDB within bounds
    `log_reader`: rows into one table
    `scans`: how the rows of a file are read, in SQL and in Python
    `header`: delimiter and names of a table
    `preamble`: lines before its rows
    `csv_cells`: its rows parsed in Python
    `json_dialects`: lines that are nearly JSON
    `row_checks`: what is wrong with a bad row
    `rejects`: where bad rows go
    `value_parsing`: blanks, numbers and times

Columns:
    `columns`: which is which
    `column_warnings`: those that are not used
    `log_titles`: titles in the log itself
    `multi_item_cells`: cells that hold several items
    `numeric_ids`: ids that were changed on their way
    `order_status`: orders that were cancelled, kinds of behaviour

Times:
    `time_columns`: which columns are the time
    `time_parts`: a time in several columns
    `time_reading`: how the times of a file are written
    `time_forms`: forms of dates
    `time_words`: names of months and zones
    `time_units`: seconds, milliseconds …
"""
