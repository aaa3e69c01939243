"""The way in for web3.py: `Web3(EmbeddedProvider(chain))`."""

from typing import Any, cast

from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from commonwatt.chain.embedded.chain import EmbeddedChain


class EmbeddedProvider(JSONBaseProvider):  # type: ignore[misc] # web3 is untyped for us
    """An embedded chain as a web3.py provider. The only module here that loads web3."""

    def __init__(self, chain: EmbeddedChain) -> None:
        """Answer web3.py from `chain`."""
        super().__init__()
        self._chain = chain

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer one request."""
        return cast(RPCResponse, self._chain.make_request(method, params or ()))

    def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Always: it is in this process."""
        return True
