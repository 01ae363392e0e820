"""Steps that are made one after the other, and which of them are up to date."""
