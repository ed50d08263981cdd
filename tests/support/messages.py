"""Every sentence for people, as the code has it: its constant parts, with `…` for what varies.

Read from the source, so that a sentence which nobody ever saw raised is found as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dropsafe import errors

PACKAGE = Path(errors.__file__).parent
MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Call:
    """Where a call has its sentence and its remedy: positions and names of arguments."""

    text: int
    remedy: int | None = None
    text_name: str = ""


ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.DropsafeError)
}

CALLS = {name: Call(0) for name in ERRORS} | {
    "AcceptanceUnknown": Call(1),
    "_error_for": Call(0),
    "ArgumentTypeError": Call(0),
    "SecretUnusable": Call(1),
    "TlsUnusable": Call(1),
    "_unusable": Call(0),
    "Trouble": Call(0, 1),
    "SystemTrouble": Call(0, 1),
    "Reason": Call(1, 2, "summary"),
    "Problem": Call(1, 2),
    "_of_folder": Call(1, 2),
    "Stranger": Call(1),
    "Left": Call(1, 2),
    "Attempt": Call(2, 3, "why"),
    "waits": Call(0),
    "Row": Call(2, 3),
    "_alarm": Call(1, 2),
    "_deferred": Call(1),
    "Deferred": Call(0),
    "Difference": Call(3, 4),
    "NotExported": Call(2, 3),
    "NotTaken": Call(2, 3),
    "Unmatched": Call(1, 2),
    "_not": Call(1, 2),
    "_not_copied": Call(1, 2),
    "Finding": Call(0, 1),
}
OF_THE_CONFIGURATION = {"Problem": Call(2, 4)}
TABLES = {("spool/health.py", "_PAUSED"): 0, ("workers/waits.py", "_WORDS"): 1, ("spool/steps.py", "WORDS"): 0}
"""Tables that have sentences in their rows, and at which place."""
NOT_FOR_PEOPLE = {
    "errors.py": "it only defines them",
    "receiver/problem.py": "an answer to a client's program, documented in docs/server-contract.md",
    "receiver/app.py": "the same",
    "receiver/labels.py": "the same",
    "receiver/torment.py": "the same",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of one call. `kind` is the name of what is called, `remedy` empty if there is none of its own."""

    file: str
    kind: str
    text: str
    remedy: str

    exit_code: int | None
    """Of the command line; None for what is met elsewhere."""


@cache
def sentences() -> tuple[Sentence, ...]:
    """All of the product's, in the order of the files."""
    found: dict[tuple[str, str], Sentence] = {}
    for path in _sources():
        file = path.relative_to(PACKAGE).as_posix()
        if file in NOT_FOR_PEOPLE:
            continue
        for sentence in Source(path, file).sentences():
            known = found.setdefault((file, sentence.text), sentence)
            if sentence.remedy and not known.remedy:
                found[file, sentence.text] = sentence
    return tuple(found.values())


def _sources() -> list[Path]:
    # The folders of the package are links in a checkout, which a recursive glob does not follow.
    return sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("*/*.py"), *PACKAGE.glob("*/*/*.py")])


class Source:
    """One file of the product."""

    def __init__(self, path: Path, file: str) -> None:
        self._file = file
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._calls = CALLS | (OF_THE_CONFIGURATION if file == "config_rules.py" else {})
        self._above = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}

    def sentences(self) -> Iterator[Sentence]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and (name := _name(node.func)) in self._calls:
                yield from self._of_call(node, name)
            elif (
                isinstance(node, ast.Assign)
                and (place := TABLES.get((self._file, ast.unparse(node.targets[0])))) is not None
            ):
                for row in node.value.values if isinstance(node.value, ast.Dict) else []:
                    assert isinstance(row, ast.Tuple)
                    yield Sentence(self._file, "row", self._texts(row.elts[place])[0], "", None)
            elif isinstance(node, ast.ClassDef) and self._file == "workers/classify.py" and node.name == "Trouble":
                for member in node.body:
                    if isinstance(member, ast.Assign):
                        yield Sentence(self._file, "line", self._texts(member.value)[0], "", None)

    def _of_call(self, node: ast.Call, name: str) -> Iterator[Sentence]:
        call = self._calls[name]
        remedies = self._texts(_argument(node, call.remedy, "remedy"))
        if not remedies and name in ERRORS:
            remedies = [ERRORS[name].remedy]
        for text in self._texts(_argument(node, call.text, call.text_name)):
            if re.search(r"\w{3}", text):
                whole = f"{text}: …" if name == "SystemTrouble" else text  # what the system says follows
                yield Sentence(self._file, name, whole, _one(remedies), self._exit_code(node, name))

    def _exit_code(self, node: ast.Call, name: str) -> int | None:
        if name == "Trouble":
            code = ast.unparse(node.args[2]).rpartition(".")[2]
            return int(errors.ExitCode[code])
        if name == "SystemTrouble":
            return int(ERRORS[ast.unparse(node.args[2])].exit_code)
        if name == "ArgumentTypeError":
            return int(errors.ExitCode.USAGE)
        if name == "_error_for" or self._file == "config_rules.py":
            return int(errors.ExitCode.CONFIGURATION)
        return int(ERRORS[name].exit_code) if name in ERRORS else None

    def _texts(self, node: ast.AST | None, depth: int = 0) -> list[str]:
        """What the expression can be."""
        match node:
            case ast.Constant(value=str() as text):
                return [normal(text)]
            case ast.JoinedStr(values=parts):
                return [normal("".join(self._part(part, depth) for part in parts))]
            case ast.IfExp(body=one, orelse=other):
                return [*self._texts(one, depth), *self._texts(other, depth)]
            case ast.BinOp(op=ast.Add()):
                left, right = self._texts(node.left, depth) or ["…"], self._texts(node.right, depth) or ["…"]
                return [normal(a + b) for a in left for b in right]
            case ast.BoolOp(values=[*_, last]):
                return self._texts(last, depth)
            case ast.Call(func=ast.Name(id="_told_how"), args=[text]):
                return self._texts(text, depth)
            case ast.Call(func=ast.Attribute(value=text, attr="rstrip")):
                return self._texts(text, depth)
            case ast.Name(id=name) if depth < MAX_DEPTH:
                return self._assigned(node, name, depth + 1)
            case _:
                return []

    def _part(self, part: ast.AST, depth: int) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        value = part.value if isinstance(part, ast.FormattedValue) else None
        if isinstance(value, ast.Name) and value.id.isupper():  # a constant of the module that is text itself
            return (self._texts(value, depth) or ["…"])[0]
        return "…"

    def _assigned(self, node: ast.AST, name: str, depth: int) -> list[str]:
        """What was assigned to the name before, on each way that leads here."""
        above = [node]
        while not isinstance(above[-1], ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            above.append(self._above[above[-1]])
        found: list[str] = []
        for item in self._assignments(above[-1], node):
            values = [_assigned_to(target, item.value, name) for target in item.targets]
            for value in filter(None, values):
                found += self._texts(value, depth)
                if self._above[item] in above:
                    return found
        if found or isinstance(above[-1], ast.Module):
            return found
        for item in self._tree.body:
            if isinstance(item, ast.Assign):
                for target in item.targets:
                    found += self._texts(_assigned_to(target, item.value, name), depth)
        return found

    def _assignments(self, place: ast.AST, node: ast.AST) -> list[ast.Assign]:
        found = [item for item in ast.walk(place) if isinstance(item, ast.Assign)]
        return sorted((item for item in found if item.lineno < _line(node)), key=_line, reverse=True)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _assigned_to(target: ast.AST, value: ast.AST, name: str) -> ast.AST | None:
    if isinstance(target, ast.Name) and target.id == name:
        return value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for inner, part in zip(target.elts, value.elts, strict=False):
            if isinstance(inner, ast.Name) and inner.id == name:
                return part
    return None


def _name(function: ast.AST) -> str:
    if isinstance(function, ast.Call):
        return _name(function.func)
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _argument(node: ast.Call, position: int | None, name: str) -> ast.AST | None:
    for keyword in node.keywords:
        if name and keyword.arg == name:
            return keyword.value
    if position is not None and position < len(node.args):
        return node.args[position]
    return None


def _one(remedies: list[str]) -> str:
    """It, unless there are several, which depend."""
    return remedies[0] if len(remedies) == 1 else ""


def normal(text: str) -> str:
    """One line, with one `…` for each run of variable parts."""
    return re.sub(r"…(\s*…)+", "…", " ".join(text.split()))
