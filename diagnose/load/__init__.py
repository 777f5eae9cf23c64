"""The embedded load generator: an epoll loop per worker process."""
