"""The thin ROS layer: nodes, parameters, conversions, QoS."""
