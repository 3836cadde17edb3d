"""Requests to AWS and events from it, one by one. calls: clients that send nothing."""
