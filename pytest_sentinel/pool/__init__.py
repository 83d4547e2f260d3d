"""The browser pool: a pure ledger that decides, and shells that carry its decisions out."""
