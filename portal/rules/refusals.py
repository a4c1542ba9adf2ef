"""One kind of "no": what, where, and what to do. Never any personal data."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place.

    code: a stable word such as `bad_date`; where: `line 12, column birth_date`, a file, a step;
    what: one sentence that says what is wrong and what to do. It never repeats the refused value.
    """

    code: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.code}]"


class Refused(Exception):
    """The product says no. `status` is the HTTP status a page answers with."""

    def __init__(self, code: str, what: str, *, where: str = "", status: int = 409) -> None:
        self.code, self.what, self.where, self.status = code, what, where, status
        super().__init__(f"{where + ': ' if where else ''}{what} [{code}]")


@dataclass(slots=True)
class Problems:
    """Everything wrong with one input, gathered so that it is refused whole and mended at once."""

    found: list[Problem] = field(default_factory=list)

    def add(self, code: str, where: str, what: str) -> None:
        self.found.append(Problem(code, where, what))


class RefusedFile(Refused):
    """An input file is refused whole; `problems` names every place."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.code, f"{first.what}{more}", where=first.where, status=422)
