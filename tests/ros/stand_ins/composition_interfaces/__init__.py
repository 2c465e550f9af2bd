"""Stands in for the ROS package composition_interfaces where there is none.

launch_ros imports it for nodes in containers, which no launch file of this package uses.
"""
