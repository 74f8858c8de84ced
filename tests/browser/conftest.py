"""How long these tests wait for what a page shall show: as long as a machine may take that runs a browser and the servers beside it."""

from playwright import async_api, sync_api

for api in (sync_api, async_api):
    api.expect.set_options(timeout=30_000)
