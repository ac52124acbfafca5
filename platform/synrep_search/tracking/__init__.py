"""Tracking with MLflow. No other package imports `mlflow`."""
