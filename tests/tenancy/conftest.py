"""The database that the tests of tenancy work on."""

from tests.tenancy.kit import base

__all__ = ["base"]
