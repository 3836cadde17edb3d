"""Backups, taken while clients write and restored on another provider."""
