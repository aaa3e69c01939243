"""What can be wrong with what a device or a file says: one class for each thing to mend.

::

    DriverError
      DriverUnknown          no driver has this name
      DriverOptionsUnusable  an option it does not take
      MessageTooLarge        more than the driver's limit
      FormatUnreadable       not written as the format asks
      MessageCut             the end is missing
      ChecksumWrong          damaged on the way
      NumberUnreadable       an energy that is no number, or below zero
      UnitUnknown            not Wh, kWh or MWh
      TimeUnreadable         no time, or one without its offset
      SourceUnusable         no id of the device
      RegisterMissing        nothing about active energy
      ValueUnavailable       the device itself has no value now
      ReadingsContradict     two different values for one time
      SignatureUnreadable    a signature that cannot be decoded
      SignatureWrong         not the key's over these bytes
      DeviceKeyUnusable      no public key, or one of another curve
"""

from commonwatt.errors import InputError

SHOWN_MAX = 60
"""No more of a foreign text is repeated in a message."""


class DriverError(InputError):
    """What a device or a file says cannot be used."""


class DriverUnknown(DriverError):
    """No driver has this name."""


class DriverOptionsUnusable(DriverError):
    """An option that the driver does not take, or with a value it cannot use."""


class MessageTooLarge(DriverError):
    """A message, file, nesting or count beyond the driver's named limit."""


class FormatUnreadable(DriverError):
    """Not written as the format asks."""


class MessageCut(DriverError):
    """The end is missing: it was cut on the way, or is still being written."""


class ChecksumWrong(DriverError):
    """A check sum does not fit: the text was damaged or changed."""


class NumberUnreadable(DriverError):
    """An energy that is no decimal number, below zero, or too large for any register."""


class UnitUnknown(DriverError):
    """A unit that is not one of active energy."""


class TimeUnreadable(DriverError):
    """No time, a time without its offset, or one outside of what is read."""


class SourceUnusable(DriverError):
    """A device that does not say who it is, or in characters that cannot be shown."""


class RegisterMissing(DriverError):
    """Nothing in it says how much active energy was counted."""


class ValueUnavailable(DriverError):
    """The device says that it has no value now."""


class ReadingsContradict(DriverError):
    """Two different values for one register and one time."""


class SignatureUnreadable(DriverError):
    """A signature whose scheme or encoding cannot be read."""


class SignatureWrong(DriverError):
    """The signature is not this key's over these bytes."""


class DeviceKeyUnusable(DriverError):
    """Not a public key, or a key of another curve than the signature names."""


def shown(value: object) -> str:
    """A foreign text as an error repeats it: quoted, escaped, and not more than a line.

    >>> shown("x" * 100) == repr("x" * SHOWN_MAX + "...")
    True
    >>> len(shown(chr(0) * 100)) < 70
    True
    """
    text = str(value)
    quoted = repr(text[:SHOWN_MAX])
    if len(text) <= SHOWN_MAX and len(quoted) <= SHOWN_MAX + len("''"):
        return quoted
    return quoted[: SHOWN_MAX + 1] + "...'"
