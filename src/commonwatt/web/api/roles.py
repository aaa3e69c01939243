"""Who asks, and what each may do.

A role's cell in the table of routes is one of four: it may (`YES`), it may with what is its own
(`OWN`), it may not (`NO`), or what it brings must be signed by whoever it is from (`SIGNED`).
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from commonwatt.node.service.hosted import Hosted


class Role(Enum):
    """In whose capacity somebody asks."""

    PUBLIC = "public"
    """Anybody."""
    METER = "meter"
    """A meter, or whoever brings its records: the signature of each is its login."""
    PARTICIPANT = "participant"
    """A member of the community."""
    OPERATOR = "operator"
    """Runs the node."""
    ISSUER = "issuer"
    """Issues the certificates."""
    AUDITOR = "auditor"
    """Works everything out again."""


class Access(Enum):
    """What a role may do with a route."""

    NO = "no"
    SIGNED = "signed"
    OWN = "own"
    YES = "yes"


YES, NO, OWN, SIGNED = Access.YES, Access.NO, Access.OWN, Access.SIGNED
_RANK = (NO, SIGNED, OWN, YES)


class Who(NamedTuple):
    """A row of the table: one cell for each role, in the order of `Role`."""

    public: Access
    meter: Access
    participant: Access
    operator: Access
    issuer: Access
    auditor: Access

    def access(self, role: Role) -> Access:
        """One cell."""
        found: Access = getattr(self, role.value)
        return found


EVERYBODY = Who(YES, YES, YES, YES, YES, YES)
WHOEVER_SIGNS = Who(SIGNED, SIGNED, SIGNED, SIGNED, SIGNED, SIGNED)
SIGNED_IN = Who(NO, NO, YES, YES, YES, YES)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    actor: str
    """`0x` and an account, `token:` and a name, or empty for anybody."""
    account: bytes | None = None
    named: frozenset[Role] = frozenset()
    """What the settings or a token make of it."""
    community: str | None = None
    """A token's that is good in one community only."""
    member: int | None = None
    """A participant's token's."""
    token: bytes | None = field(default=None, repr=False)
    """SHA-256 of the token that was shown."""

    @property
    def is_anybody(self) -> bool:
        """Whether no token was shown."""
        return not self.actor

    def members(self, hosted: Hosted) -> frozenset[int]:
        """As which members it takes part."""
        if self.community not in {None, hosted.name}:
            return frozenset()
        accounts = hosted.community.accounts
        if self.member is not None:
            return frozenset({self.member} if self.member < len(accounts) else ())
        if self.account is None:
            return frozenset()
        return frozenset(n for n, account in enumerate(accounts) if account == self.account)

    def accounts(self, hosted: Hosted) -> frozenset[bytes]:
        """Whose certificates are its own."""
        own = {hosted.community.accounts[member] for member in self.members(hosted)}
        return frozenset(own | ({self.account} if self.account is not None else set()))

    def roles(self, hosted: Hosted | None) -> frozenset[Role]:
        """In which capacities it asks, in a community or of the node as a whole."""
        if self.is_anybody:
            return frozenset({Role.PUBLIC})
        if hosted is None:
            return frozenset({Role.PUBLIC, Role.PARTICIPANT, *self.named})
        found = {Role.PUBLIC}
        if self.community in {None, hosted.name}:
            found |= self.named - {Role.PARTICIPANT}
        if self.members(hosted):
            found.add(Role.PARTICIPANT)
        # The book says itself who its issuer is; tokens of other roles have no account.
        if self.account is not None and self.account == hosted.book.log.book.scheme.issuer:
            found.add(Role.ISSUER)
        return frozenset(found)

    def access(self, who: Who, hosted: Hosted | None) -> Access:
        """The most that any of its roles may."""
        return max((who.access(role) for role in self.roles(hosted)), key=_RANK.index)


ANYBODY = Principal("")
