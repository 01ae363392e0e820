"""`eimf serve`: Query lines over HTTP, answered in batches where they arrive together.

The way of a request: `http_server` listens, `protocol` is HTTP/1.1 within bounds of time and size, `app` (ASGI) says
which path does what, `request_body` reads the queries, and the thread of `batching` answers them with `recommend`.
`workers` keeps several processes at one port, which tell each other their counts through `shared_figures`.
`live_model` opens the model and takes a newer version when its directory is replaced, `metrics` counts for Prometheus,
`config` has the settings. A further path is a method of `App` and a line in its table of paths.
"""
