"""`fk-kazoo verify` on the emulator."""
