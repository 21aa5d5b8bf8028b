"""HTTP for everything: connections, TLS, proxies, bodies."""
