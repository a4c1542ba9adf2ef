"""How the portal opens its database, beside what durable.py asks of it."""

from portal.records.database import connection, opened, rows


async def test_postgresql_compiles_no_statement(postgres_url: str) -> None:
    """The decision of a single practice would take seconds longer."""
    async with opened(postgres_url):
        assert await rows(connection(), "SHOW jit") == [{"jit": "off"}]
