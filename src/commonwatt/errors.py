"""The one error tree. Each package hangs its own errors below these.

::

    CommonwattError
      InputError            somebody gave us something we cannot use: one line, exit code 2
      InvariantBroken       energy or money would not be conserved: a defect, never bad input
"""


class CommonwattError(Exception):
    """Anything Commonwatt raises on purpose."""


class InputError(CommonwattError):
    """Something given from outside cannot be used.

    The message is one line that names what is wrong, where, and what to do next.
    """


class InvariantBroken(CommonwattError):
    """A conservation law does not hold; nothing was written.

    This is a defect of the program or of its database, not of the input.
    """

    def __init__(self, law: str, **operands: object) -> None:
        """Name the law and the operands that break it."""
        listed = ", ".join(f"{name}={value}" for name, value in operands.items())
        super().__init__(f"conservation broken: {law} ({listed})")
        self.law, self.operands = law, operands


def require(law: str, holds: bool, **operands: object) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise `InvariantBroken` with its operands unless the law holds; never optimised away."""
    if not holds:
        raise InvariantBroken(law, **operands)
