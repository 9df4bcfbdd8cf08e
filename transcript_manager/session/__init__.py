"""A session: one transcript with its history, its journal and those who listen. Knows no ROS."""
