"""Readers of motion-capture files, which convert them to poses of 17 Human3.6M joints."""
