"""A client and its deployment on the emulator."""
