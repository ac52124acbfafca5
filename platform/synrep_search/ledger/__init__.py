"""The durable record of a search; see `ledger`."""
