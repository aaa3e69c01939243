"""The node's HTTP interface: `/v1`, described by OpenAPI, for meters, people and programs.

`create_app(service)` is the application, `server_options()` says how uvicorn is to run it, and a
`Deliverer` tells webhooks what happens.

| module | knows |
|---|---|
| `table` | the one table of routes: who may do what |
| `app`, `guard` | the way of every request |
| `routes` | what answers |
| `shapes`, `examples`, `openapi` | documents, and their description |
| `roles`, `sessions`, `siwe` | who asks, and signing in |
| `parameters`, `body`, `documents` | what is sent, checked |
| `render`, `problem` | what is answered: JSON, CSV, problems |
| `idempotency` | requests with a key of their sender's choice |
| `hooks`, `delivery`, `receiver` | webhooks |
| `limits`, `server` | what a stranger may use up |
| `settings`, `ports`, `state` | the operator's file, the node, what one application remembers |
"""

from commonwatt.web.api.app import create_app
from commonwatt.web.api.delivery import Deliverer
from commonwatt.web.api.server import server_options
from commonwatt.web.api.settings import ApiSettings, read_api_settings

__all__ = ["ApiSettings", "Deliverer", "create_app", "read_api_settings", "server_options"]
