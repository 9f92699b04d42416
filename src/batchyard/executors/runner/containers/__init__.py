"""Attempts that run in containers: what a slot does with an engine of Docker's API, Docker and Podman alike."""
