"""The `transcript` command line."""
