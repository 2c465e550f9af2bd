"""Replaces the ROS package composition_interfaces if it is missing.

launch_ros imports it for nodes in containers. No launch file of this package uses containers.
"""
