"""Clients in other languages, and large programs, through gateways; gateways that are killed in turn."""
