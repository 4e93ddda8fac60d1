"""grsn-edge."""
