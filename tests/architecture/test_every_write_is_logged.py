"""Every public step of flow/ that writes anything enters the log, by itself or through what it calls."""

import ast
import re
from pathlib import Path

FLOW = Path(__file__).parents[2] / "portal" / "flow"

UNLOGGED = {
    "paper.make_codes": "the hash of a code opens what its link opens, and can be made again from the keys",
    "paper.make_code_of": "as make_codes",
    "typed_link.reserve": "turns in a queue: they decide nothing and are forgotten after a day",
    "typed_link.link_of": "how often a place was wrong: it decides nothing and is forgotten after a day",
    "answered.once": "what a program was answered, kept for a day: it decides nothing",
    "sign_in.sign_out": "ends the caller's own session; the end of a session opens nothing",
    "simulate.simulate": "what it writes is always rolled back",
}
"""Steps that write without an entry, each with its reason."""

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b")
MODEL_WRITES = {"create", "update", "update_or_create", "get_or_create", "bulk_create", "save", "delete"}

Functions = dict[str, ast.AsyncFunctionDef | ast.FunctionDef]


def functions(source: str) -> Functions:
    tree = ast.parse(source)
    return {node.name: node for node in tree.body if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)}


def reached(name: str, all_of_them: Functions, seen: set[str]) -> list[ast.AST]:
    """Every node of a function and of the functions of its module that it names."""
    seen.add(name)
    nodes = list(ast.walk(all_of_them[name]))
    for node in list(nodes):
        if isinstance(node, ast.Name) and node.id in all_of_them and node.id not in seen:
            nodes += reached(node.id, all_of_them, seen)
    return nodes


def writes(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return bool(WRITES.match(text))
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in MODEL_WRITES
        case _:
            return False


def enters(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "enter"


def without_entry(source: str) -> set[str]:
    """The public functions of a module that reach a write and no entry."""
    found = functions(source)
    bodies = {name: reached(name, found, set()) for name in found if not name.startswith("_")}
    return {name for name, nodes in bodies.items() if any(map(writes, nodes)) and not any(map(enters, nodes))}


def test_every_step_that_writes_enters_the_log() -> None:
    found = {
        f"{path.stem}.{name}"
        for path in sorted(FLOW.glob("*.py"))
        for name in without_entry(path.read_text(encoding="utf-8"))
    }
    assert found == set(UNLOGGED)


def test_a_step_that_writes_without_an_entry_is_seen() -> None:
    step = "async def step(c):\n    await {call}\n"
    assert without_entry(step.format(call='rows(c, "UPDATE notice SET state = 1")')) == {"step"}
    assert without_entry(step.format(call="Notice.filter(id=1).update(state=1)")) == {"step"}
    assert without_entry(step.format(call="_put(c)") + "async def _put(c):\n    await text.save()\n") == {"step"}
    logged = step.format(call='enter(c, "x")') + '    await rows(c, "DELETE FROM notice")\n'
    assert without_entry(logged) == set()
    assert without_entry(step.format(call='rows(c, "SELECT 1")')) == set()
