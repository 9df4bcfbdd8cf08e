"""The merge: from overlapping decodes to one stable transcript. Knows no ROS, no clock."""
