"""What a search shows on a terminal: its plan, its progress, its status."""
