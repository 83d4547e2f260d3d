"""Real-browser users for Locust, on the same pool as everybody."""
