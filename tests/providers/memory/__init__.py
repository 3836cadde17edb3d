"""The provider in memory."""
