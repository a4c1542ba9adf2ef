"""How many small faults put into rules/ and gate/ the tests notice: `make mutants [ONLY=rules] [SAMPLE=100 SEED=2]`.

mutmut writes every function with one place changed, many times over. Each group of modules is tried with the tests that
belong to it, in a copy below var/mutants/: one run finds which tests reach which function, then each mutant is put in
the place of its function in a process of its own, where those tests run, quickest first, until one fails. Asked again,
only what survived or has changed is tried again. docs/mutation.md says what the figures mean.
"""

import ast
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from random import Random
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from mutant_groups import GROUPS, Group

ROOT = Path(__file__).parents[1]
WORK = ROOT / "var" / "mutants"
COPIED = ("portal", "tests", "docs", "locale", "templates", "static", "alembic")

ALWAYS = (
    "-q",
    "-x",
    "-s",
    "--assert=plain",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "--hypothesis-profile=mutants",
)
"""The profile stands in tests/conftest.py."""


def prepared(name: str, group: Group) -> Path:
    """The copy that a group is tried in, its modules with all their mutants."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    for each in COPIED:
        shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for module in group.modules:
        source = ROOT / "portal" / f"{module}.py"
        mutated = mutate_file_contents(str(source), source.read_text(encoding="utf-8"))
        (folder / "portal" / f"{module}.py").write_text(mutated.code, encoding="utf-8")
    return folder


# --- trying -----------------------------------------------------------------------------------------------------------

KILLED, SURVIVED, TIMEOUT, NO_TESTS, UNFIT = "killed", "survived", "timeout", "no tests", "unfit"
CAUGHT = {KILLED, TIMEOUT}
MEMORY = 6 << 30
SAMPLE, SEED = int(os.environ.get("SAMPLE") or 0), os.environ.get("SEED", "")
"""How many of each module, and which draw: another seed gives mutants that nobody has written tests for yet."""
BUDGET = 8.0
"""Seconds of the processor for one mutant: where more tests reach a function, the quickest of them are run."""


@dataclass
class Mutants:
    """Every function that has mutants, as it is registered when its module is imported."""

    of: list[tuple[FunctionType, dict[str, FunctionType]]] = field(default_factory=list)

    def register(self, mutants: dict[str, FunctionType], **_: Any) -> Callable[[FunctionType], FunctionType]:
        def keep(function: FunctionType) -> FunctionType:
            self.of.append((function, mutants))
            return function

        return keep

    def import_as_trampoline(self) -> None:
        """What mutmut's files import; nothing is wrapped here, so that functions stay what they are."""
        module = ModuleType("mutmut.mutation.trampoline")
        vars(module).update(wrap_in_trampoline=self.register, MutantDict=dict)
        sys.modules["mutmut.mutation.trampoline"] = module


@dataclass
class Trial:
    """A pytest plugin: instead of one run, one run that looks and one of each mutant."""

    mutants: Mutants
    known: dict[str, list[str]]
    """By mutant: its fate, and the fingerprint of what was tried."""
    kept: Path
    found: dict[str, list[str]] = field(default_factory=dict)
    place: Any = field(default_factory=lambda: RawValue("i"))
    """Which test a mutant's process has come to."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        reached, cost = self._look(session)
        if session.testsfailed:
            raise session.Failed("the tests fail without any mutant")
        session._setupstate.teardown_exact(session)
        self._control(session, sorted(session.items, key=cost.__getitem__))
        begun, chosen = time.time(), self._chosen()
        for function, mutants in self.mutants.of:
            tests = _affordable(sorted(reached.get(function.__code__, ()), key=cost.__getitem__), cost)
            for mutant in mutants.values():
                key = f"{function.__module__}.{mutant.__name__}"
                if key not in chosen or key in self.found:
                    continue
                mark = _fingerprint(mutant)
                before = self.known.get(key, ["", ""])
                kept = before[0] if before[1] == mark and before[0] in CAUGHT else ""
                self.found[key] = [kept or self._try(session, function, mutant, tests, cost), mark]
            self.kept.write_text(json.dumps({**self.known, **self.found}, indent=0), encoding="utf-8")
            say(f"{function.__module__}.{function.__qualname__}: {len(self.found)} after {time.time() - begun:.0f} s")
        self.kept.write_text(json.dumps(self.found, indent=0), encoding="utf-8")
        return True

    def _chosen(self) -> set[str]:
        """The mutants to try: all, or SAMPLE of each module, drawn by lot, for one SEED always the same."""
        by_module: dict[str, set[str]] = {}
        for function, mutants in self.mutants.of:
            keys = {f"{function.__module__}.{m.__name__}" for name, m in mutants.items() if name != "_mutmut_orig"}
            by_module.setdefault(function.__module__, set()).update(keys)
        drawn = (Random(module + SEED).sample(sorted(keys), len(keys)) for module, keys in by_module.items())
        return {key for keys in drawn for key in keys[: SAMPLE or None]}

    def _look(self, session: pytest.Session) -> tuple[dict[CodeType, list[pytest.Item]], dict[pytest.Item, float]]:
        """Which tests reach which function, and how long each takes of the processor."""
        codes = [function.__code__ for function, _ in self.mutants.of]
        reached: dict[CodeType, list[pytest.Item]] = {}
        cost: dict[pytest.Item, float] = {}
        seen: set[int] = set()

        def reach(place: int) -> FunctionType:
            function = self.mutants.of[place][0]
            function.__code__ = codes[place]
            seen.add(place)
            return function

        for function, _ in self.mutants.of:
            function.__globals__["_reach"] = reach
        for item in session.items:
            for place, (function, _) in enumerate(self.mutants.of):
                function.__code__ = _tripwire(place, codes[place].co_freevars)
            seen.clear()
            begun = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=session)
            cost[item] = time.process_time() - begun
            for place in seen:
                reached.setdefault(codes[place], []).append(item)
            if session.testsfailed:
                say(f"fails without any mutant: {item.nodeid}")
                break
        for place, (function, _) in enumerate(self.mutants.of):
            function.__code__ = codes[place]
        return reached, cost

    def _control(self, session: pytest.Session, tests: list[pytest.Item]) -> None:
        """Tried in the same way without any change, everything passes: a test that fails then has found a fault."""
        child = os.fork()
        if not child:
            for test in tests:
                reports = runtestprotocol(test, log=False, nextitem=session)
                if any(report.failed for report in reports):
                    say(f"fails the second time, without any mutant: {test.nodeid}")
                    os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise session.Failed("the tests fail a second time without any mutant")
        say("without any mutant, every test passes in a process of its own")

    def _try(
        self,
        session: pytest.Session,
        function: FunctionType,
        mutant: FunctionType,
        tests: list[pytest.Item],
        cost: dict[pytest.Item, float],
    ) -> str:
        if not tests:
            return NO_TESTS
        if function.__code__.co_freevars != mutant.__code__.co_freevars:
            return UNFIT
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            try:
                function.__code__ = mutant.__code__
                function.__defaults__, function.__kwdefaults__ = mutant.__defaults__, mutant.__kwdefaults__
                for self.place.value, test in enumerate(tests):
                    _allow(4 * cost[test] + 2)
                    reports = runtestprotocol(test, log=False, nextitem=session)
                    if any(report.failed for report in reports):
                        os._exit(1)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        if status:
            tests.insert(0, tests.pop(self.place.value))  # what has noticed one often notices the next
        if os.WIFSIGNALED(status):
            return TIMEOUT if os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL} else KILLED
        return KILLED if os.WEXITSTATUS(status) else SURVIVED


def _affordable(tests: list[pytest.Item], cost: dict[pytest.Item, float]) -> list[pytest.Item]:
    """The quickest, as many as BUDGET pays for, and one at least."""
    spent = accumulate(cost[test] for test in tests)
    return [test for place, (test, so_far) in enumerate(zip(tests, spent, strict=True)) if so_far < BUDGET or not place]


def _allow(seconds: float) -> None:
    """Of the processor, from now on, so that a busy machine is no timeout; and so much more by the clock, for locks."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    signal.alarm(60 + 20 * int(seconds))


def _tripwire(place: int, free: tuple[str, ...]) -> CodeType:
    """The code of a function that tells at its first call that it is reached, and is itself again from then on."""
    made: dict[str, FunctionType] = {}
    exec(f"def tripwire(*a, **k):\n    return _reach({place})(*a, **k)", made)
    return made["tripwire"].__code__.replace(co_freevars=free)


def _fingerprint(mutant: FunctionType) -> str:
    code = mutant.__code__
    what = repr((code.co_code, mutant.__defaults__, mutant.__kwdefaults__, code.co_names, _plain(code)))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _plain(code: CodeType) -> list[object]:
    return [[*_plain(c), c.co_code] if isinstance(c, CodeType) else c for c in code.co_consts]


def say(what: str) -> None:
    print(what, file=sys.__stderr__, flush=True)


def try_group(name: str) -> None:
    """In a process of its own: generates, looks, tries, and keeps what was found."""
    group = GROUPS[name]
    folder = prepared(name, group)
    kept = WORK / f"{name}.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for loaded in [each for each in sys.modules if each == "portal" or each.startswith("portal.")]:
        del sys.modules[loaded]
    sys.path[:] = [str(folder), *(each for each in sys.path if Path(each).resolve() not in {ROOT, ROOT / "tests"})]
    os.chdir(folder)
    mutants = Mutants()
    mutants.import_as_trampoline()
    trial = Trial(mutants, known, kept)
    without = [f"--deselect={test}" for test in group.without]
    pytest.main([*ALWAYS, "--rootdir=.", *without, *group.tests], plugins=[trial])


# --- texts ------------------------------------------------------------------------------------------------------------

SAYING = {
    "Refused",
    "RefusedFile",
    "Problem",
    "ValueError",
    "PydanticCustomError",
    "Beyond",
    "add",
    "_one",
    "_refused",
    "refuse",
    "Fault",
}


def texts_only(path: Path) -> set[str]:
    """The mutants that change nothing but the letters of a sentence that people are told."""
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
    }
    found = set()
    for name, node in functions.items():
        stem, _, number = name.rpartition("__mutmut_")
        original = functions.get(f"{stem}__mutmut_orig")
        if number != "orig" and original is not None and _differ_in_a_sentence(original, node):
            found.add(name)
    return found


def _differ_in_a_sentence(one: ast.AST, other: ast.AST) -> bool:
    pairs = list(zip(_constants(one), _constants(other), strict=False))
    if len(list(_constants(one))) != len(list(_constants(other))):
        return False
    changed = [(a, b, said) for (a, said), (b, _) in pairs if a != b]
    if len(changed) != 1:
        return False
    before, after, said = changed[0]
    return (
        said
        and isinstance(before, str)
        and " " in before
        and after in {f"XX{before}XX", before.lower(), before.upper()}
    )


def _constants(node: ast.AST, said: bool = False) -> Iterator[tuple[object, bool]]:
    """Every constant, and whether it stands where people are told something."""
    if isinstance(node, ast.Constant):
        yield node.value, said
    if isinstance(node, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        said = said or called in SAYING
    if isinstance(node, ast.Assign) and any(
        isinstance(t, ast.Name) and t.id in {"what", "lines"} for t in node.targets
    ):
        said = True
    for child in ast.iter_child_nodes(node):
        yield from _constants(child, said)


# --- figures ----------------------------------------------------------------------------------------------------------


def figures(name: str, group: Group) -> list[str]:
    """A line a module: mutants (of how many, if a sample), killed, timeouts, survived, not reached, score; how many of
    them are texts, and the score without them."""
    found = json.loads((WORK / f"{name}.json").read_text(encoding="utf-8"))
    lines = []
    for module in group.modules:
        dotted = f"portal.{module.replace('/', '.')}."
        mine = {key.removeprefix(dotted): fate for key, (fate, _) in found.items() if key.startswith(dotted)}
        if not mine:
            continue
        mutated = WORK / name / "portal" / f"{module}.py"
        texts, every = texts_only(mutated), len(re.findall(r"__mutmut_\d+\(", mutated.read_text(encoding="utf-8")))
        n, other = Counter(mine.values()), Counter(fate for key, fate in mine.items() if key not in texts)
        lines.append(
            f"| {module} | {n.total()}{f' of {every}' if n.total() < every else ''} | {n[KILLED]} | {n[TIMEOUT]} "
            f"| {n[SURVIVED] + n[UNFIT]} | {n[NO_TESTS]} | {score(n)} | {n.total() - other.total()} | {score(other)} |"
        )
    return lines


def score(n: Counter[str]) -> str:
    return f"{100 * sum(n[fate] for fate in CAUGHT) / n.total():.1f} %" if n.total() else "–"


def main(only: str) -> None:
    for name, group in GROUPS.items():
        if name.startswith(tuple(only.split(","))):
            with (WORK / f"{name}.log").open("w", encoding="utf-8") as log:
                subprocess.run([sys.executable, __file__, "--try", name], stdout=log, stderr=log, check=False)
            print("\n".join(figures(name, group)), flush=True)


if __name__ == "__main__":
    WORK.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:2] == ["--try"]:
        try_group(sys.argv[2])
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "")
