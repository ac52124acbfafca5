"""Errors between predicted and true poses, and the tables made of them."""
