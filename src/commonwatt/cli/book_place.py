"""Where the book of a folder is: in the database of the node that published the folder."""

import os
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL

from commonwatt.node.service.members import community_key
from commonwatt.node.service.settings import NODE_FILE, read_node_file
from commonwatt.node.store import ONLY_COMMUNITY, file_url
from commonwatt.node.wiring import DATABASE_FILE, NODE_FOLDER

DATABASE_VARIABLE = "COMMONWATT_DATABASE"
"""Names the database of a folder that `node.toml` is not beside, in the words of `node.toml`."""


class Place(NamedTuple):
    """A community in a database."""

    url: str | URL
    community: bytes
    """20 bytes."""


def place_of(folder: Path) -> Place | None:
    """Where the book of a folder is kept; None where nothing says so, or no file is there.

    A demonstration has its database in its folder. A served community's is the one of the
    `node.toml` in the directory above, unless the environment names another.

    Raises:
        NodeFileUnusable: there is a `node.toml` that cannot be read.
    """
    own, above = folder / NODE_FOLDER / DATABASE_FILE, folder.resolve().parent
    if own.is_file():
        return Place(file_url(own), ONLY_COMMUNITY)
    url: str | URL | None = os.environ.get(DATABASE_VARIABLE)
    if not url and (above / NODE_FILE).is_file():
        file = above / DATABASE_FILE
        url = read_node_file(above).database or (file_url(file) if file.is_file() else None)
    return Place(url, community_key(folder.resolve().name)) if url else None
