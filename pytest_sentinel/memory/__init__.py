"""Memory of processes: measure (processes) and judge (limits)."""
