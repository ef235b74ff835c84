"""A server under mixed load for long, while it is changed and its processes are killed."""
