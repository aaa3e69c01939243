"""What can be wrong around a gateway.

::

    GatewayError
      GatewaySettingsUnusable  gateway.toml, or an option that becomes a part of it
      GatewayBusy              another process works in the folder
      VouchingKeyUnusable      a meter's private key cannot be read or written
      ExchangeUnusable         a device that cannot have taken another's place like this
      CorrectionUnusable       a record that cannot be corrected, or not like this
      SourceSilent             no reading came, so nothing is known of the registers
      AddressUnusable          not the address of a node, a broker or a meter
      NodeUnusable             a node that does not answer what was asked
      SimulationUnusable       a simulation that does not go with its node or its state
"""

from commonwatt.errors import InputError


class GatewayError(InputError):
    """Something a gateway was given cannot be used."""


class GatewaySettingsUnusable(GatewayError):
    """Settings that cannot be read, or that do not go together."""


class GatewayBusy(GatewayError):
    """Another process works in the folder."""


class VouchingKeyUnusable(GatewayError):
    """A meter's private key that cannot be read or written."""


class ExchangeUnusable(GatewayError):
    """A device that cannot have taken another's place like this."""


class CorrectionUnusable(GatewayError):
    """A record that cannot be corrected, or not like this."""


class SourceSilent(GatewayError):
    """No reading came in time."""


class AddressUnusable(GatewayError):
    """Not the address of a node, a broker or a meter."""


class NodeUnusable(GatewayError):
    """A node that does not answer what was asked."""


class SimulationUnusable(GatewayError):
    """Simulated meters that do not go with the node, or with the state they were to go on from."""
