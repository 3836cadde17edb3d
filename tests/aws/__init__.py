"""The provider for AWS, on an emulator; `conftest.py` has the fixtures. In `unit` nothing is started."""
