"""What a run leaves behind: the run record and the metrics made from it."""
