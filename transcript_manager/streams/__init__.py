"""Recorded token streams and traces: files in, values out. Knows no ROS graph, no clock."""
