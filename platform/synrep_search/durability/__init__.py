"""What survives a crash: the ledger, its lease, its copies, and retries of storage operations."""
