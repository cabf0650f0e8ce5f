"""From a place where a dataset lies to a version of it in the store."""
