"""Jobs are tested on each engine, over the product's own schema."""

from tests.support.engines import engine, nodes, postgres_server, schema, store, templates, url

__all__ = ["engine", "nodes", "postgres_server", "schema", "store", "templates", "url"]
