"""The fault matrix: things are killed at random moments, and nothing may be lost.

`python -m tests.faults --help`; docs/design/reliability.md says what is measured.
"""
