"""Who the client is: discovery, every way to log in, sessions and their renewal."""
