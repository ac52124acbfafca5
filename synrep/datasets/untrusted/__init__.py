"""Hardened readers for untrusted files: they execute no code and bound memory and recursion."""
