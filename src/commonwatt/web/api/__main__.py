"""Prints the description of the API: `python -m commonwatt.web.api > docs/openapi.json`."""

import sys

from commonwatt.web.api.openapi import document_bytes

sys.stdout.buffer.write(document_bytes())
