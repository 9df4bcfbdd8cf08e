"""A session as people and programs want it: read it from anywhere, write it in any format."""
