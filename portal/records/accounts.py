"""Who signs in: doctors and staff, one account a human and role, and their server-side sessions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.fields import one_of, together, word
from portal.rules.words import Role


class Account(Model):
    """Bound to one human by (issuer, subject) at the first sign-in; staff are invited by e-mail address."""

    id = fields.BigIntField(primary_key=True, generated=True)
    role = word(Role)
    issuer = fields.CharField(max_length=200, null=True)
    subject = fields.CharField(max_length=200, null=True)
    email = fields.CharField(max_length=254, null=True)
    display_name = fields.CharField(max_length=160, default="")
    rpps = fields.CharField(max_length=11, null=True)
    study_id = fields.CharField(max_length=80, null=True)
    created_at = fields.DatetimeField()
    closed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "account"
        unique_together = (("issuer", "subject", "role"), ("email", "role"))
        constraints = (
            one_of("role", Role, name="account_role"),
            together("issuer", "subject", name="account_bound"),
        )

    @property
    def actor(self) -> str:
        """How the log names this account: never by name."""
        return f"{self.role}:{self.id}"


class Session(Model):
    """A signed-in browser. The cookie holds a random token; only its SHA-256 is at rest.

    `sites` are those that the identity provider named at sign-in, from which a doctor chooses. `id_token` is what it
    said then, kept for signing out there too, and sealed so that only who brings the cookie can open it.
    """

    token_hash = fields.CharField(max_length=64, primary_key=True)
    account_id: int
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField("portal.Account", on_delete=fields.CASCADE)
    second_factor = fields.BooleanField()
    created_at = fields.DatetimeField()
    sites: Any = fields.JSONField()
    ends_at = fields.DatetimeField()
    id_token = fields.BinaryField(null=True)

    class Meta:
        table = "session"
        indexes = (Index(fields=("account_id",), name="session_account"),)


async def account_of_session(token_hash: str, *, now: datetime) -> Session | None:
    """The live session of a cookie, its account loaded; None when unknown, ended or closed."""
    return await Session.get_or_none(token_hash=token_hash, ends_at__gt=now, account__closed_at=None).select_related(
        "account"
    )


async def staff() -> list[Account]:
    """Everybody who is not a doctor and may sign in, by role."""
    return await Account.filter(closed_at=None).exclude(role=Role.DOCTOR).order_by("role", "id")


async def end_sessions(accounts: Iterable[Account], *, but: str = "") -> None:
    """Inside a step: whatever browser these accounts are signed in with, but one, is so no more."""
    await Session.filter(account_id__in=[each.id for each in accounts]).exclude(token_hash=but).delete()
