"""Preloaded into the workers of a test: every address counts as public, this machine's too."""

from service.domain import network

network.is_public_address = lambda _: True
