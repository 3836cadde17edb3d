"""The gateway, by bytes on its sockets. served has one in a thread, and a client that sends anything."""
