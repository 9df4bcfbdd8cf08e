"""Audio: the ring of overlapping windows and the sources that fill it. Knows no ROS."""
