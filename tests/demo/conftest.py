"""The demonstration uses the fixtures of the end-to-end tests."""

from tests.e2e.conftest import base_url, larder

__all__ = ["base_url", "larder"]
