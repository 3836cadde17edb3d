"""Recorded programs and recipes on the emulator."""
