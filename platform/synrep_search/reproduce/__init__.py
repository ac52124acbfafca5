"""The paper's tables, each from searches whose trials are its cells: resumable and compared."""
