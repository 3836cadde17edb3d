"""The simulation itself: a short run, what it found, and that its checks can fail. long: as long as one likes."""
