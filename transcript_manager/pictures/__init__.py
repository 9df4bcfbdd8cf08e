"""Pictures of sessions, for people: what was heard where, and how soon it was known."""
