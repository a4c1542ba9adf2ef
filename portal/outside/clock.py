"""What time it is. Everything that asks is handed a clock; nothing looks by itself."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """An aware moment in UTC."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)
