"""Who asks, and who may read."""

from __future__ import annotations

from dataclasses import dataclass

EVERYONE = "everyone"
"""The name in an access rule that stands for every principal of the tenant."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: tenant, user, transitive groups. A required argument of everything that reads.

    `groups` are bare names (`finance`); in access rules they are written `group:finance`, users `user:alice`.
    """

    tenant: str
    user: str
    groups: frozenset[str] = frozenset()

    @classmethod
    def local(cls, *groups: str) -> Principal:
        """The one user of a library or command-line session: tenant and user `local`, with `groups`.

        It has no power of its own: what is for a group only, it reads as a member of that group only.
        """
        return cls("local", "local", frozenset(groups))

    @property
    def names(self) -> frozenset[str]:
        """The names under which an access rule can meet this principal."""
        return frozenset({EVERYONE, f"user:{self.user}", *(f"group:{group}" for group in self.groups)})


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a document: anyone with a name in `allow` and none in `deny`. Empty `allow` means nobody.

    Names are `user:NAME`, `group:NAME` or `everyone` (of the same tenant).
    """

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    @classmethod
    def everyone(cls) -> Access:
        """Readable by every principal of the tenant."""
        return cls(frozenset({EVERYONE}))

    def permits(self, principal: Principal) -> bool:
        """Whether `principal` may read, tenants aside. Deny wins."""
        names = principal.names
        return not names.isdisjoint(self.allow) and names.isdisjoint(self.deny)
