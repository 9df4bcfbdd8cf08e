"""A language model and a session: what it is asked, and whether what it cites was said."""
