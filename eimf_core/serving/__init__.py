"""`eimf serve`: Query lines over HTTP, answered together where they arrive together."""
