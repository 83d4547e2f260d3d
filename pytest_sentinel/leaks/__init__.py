"""Leaks: probes that measure and have no opinion, judges that decide and do no I/O."""
