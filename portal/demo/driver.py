"""What the driver knows while it plays, shared by the acts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from portal.demo.cast import Part, Role
from portal.demo.registers import Register
from portal.demo.stage import Stage
from portal.demo.story import Story
from portal.flow.decide import PatientVerdict
from portal.gate.permit import Permit
from portal.records.accounts import Account
from portal.rules.waiting import midnight, paris_day

OBSERVATORY, STUDY = "demo", "long-treatments"
HERE = Path(__file__).parent
IDENTITY = "recipient.identity"
"""The study team's age identity, in the demo's folder: the portal itself knows only its public half."""

DAYS = 80
"""How far back the play begins: thirty days on the transparency page, thirty of reflection, and what comes between."""

Tell = Callable[[str, int, int], None]
"""Progress: what is going on, how much of it is done, of how much."""


@dataclass
class Play:
    """What the driver knows while it plays. `letters`: the mail of each patient told, by practice and number."""

    stage: Stage
    roles: Sequence[Role]
    records: Path
    tell: Tell
    story: Story = field(default_factory=Story)
    operator: Account | None = None
    dpo: Account | None = None
    registers: dict[str, Register] = field(default_factory=dict)
    letters: dict[tuple[str, str], str] = field(default_factory=dict)
    seen_mails: int = 0
    refused: set[str] = field(default_factory=set)
    bouncing: set[str] = field(default_factory=set)
    at_permit: dict[tuple[str, str], PatientVerdict] = field(default_factory=dict)
    at_arrival: dict[tuple[str, str], PatientVerdict] = field(default_factory=dict)
    permits: dict[str, Permit] = field(default_factory=dict)
    release_id: str = ""

    @property
    def now(self) -> datetime:
        return self.stage.clock.now()

    def day(self, number: int, real_now: datetime) -> None:
        """Move to half past nine in Paris, so many days before the real now."""
        morning = midnight(paris_day(real_now - timedelta(days=number))) + timedelta(hours=9, minutes=30)
        self.stage.clock.advance_to(morning)

    def role_of(self, part: Part) -> list[Role]:
        return [r for r in self.roles if r.part is part]

    @property
    def active(self) -> list[Role]:
        return [r for r in self.roles if r.active]

    @property
    def by(self) -> Account:
        """The operator, who acts from the first act on."""
        if self.operator is None:
            raise RuntimeError("the operator comes in the first act")
        return self.operator
