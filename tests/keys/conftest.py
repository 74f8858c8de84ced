"""Keys are kept on either engine."""

from tests.support.engines import engine, nodes, postgres_server, schema, store, templates, url

__all__ = ["engine", "nodes", "postgres_server", "schema", "store", "templates", "url"]
