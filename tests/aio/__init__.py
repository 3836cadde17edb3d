"""The asyncio client. simulated: as a client of the simulation."""
