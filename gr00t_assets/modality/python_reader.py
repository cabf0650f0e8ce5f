"""Plain values of a Python file, read from its syntax; nothing of it is run.

Plain are texts, numbers, lists, dicts, members of some enumerations, calls of some constructors,
``list(range(n))``, and names that were given such a value before.
"""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.core.yaml_files import shown_path

_MOST_NUMBERS = 10_000
"""Of one ``range``."""


class NotPlainError(Exception):
    """A part of the file is no plain value; the line, and why."""

    def __init__(self, node: ast.AST, problem: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', 1)}: {problem}")


class Member(NamedTuple):
    """A member of an enumeration: ``ActionType.EEF``."""

    enumeration: str
    name: str


class Call(NamedTuple):
    """A call with its arguments by the name of each."""

    function: str
    node: ast.Call
    arguments: dict[str, Any]


class PlainReader:
    """Reads calls of one function with plain arguments.

    ``constructors`` that are understood have their parameters in order by name.
    """

    def __init__(
        self, constructors: Mapping[str, tuple[str, ...]], enumerations: frozenset[str]
    ) -> None:
        self._constructors, self._enumerations = constructors, enumerations
        self._values: dict[str, Any] = {}
        self._source = ""

    def calls(self, file: Path, function: str) -> list[Call]:
        """The calls of a function that stand in the file by themselves, in order.

        Raises:
            DataConfigError: The file cannot be read or is no Python.
            NotPlainError: A statement is of another kind, or an argument is no plain value.
        """
        try:
            self._source = file.read_text(encoding="utf-8")
            tree = ast.parse(self._source)
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
            problem = "this is no Python file."
            raise DataConfigError(shown_path(file), problem, [str(error)]) from error
        calls = []
        for statement in tree.body:
            match statement:
                case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                    continue
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    self._values[name] = NotPlainError(statement, f"{name} is defined by code")
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    try:
                        self._values[name] = self._value(value)
                    except NotPlainError as error:  # Told where the name is used.
                        self._values[name] = error
                case ast.Expr(value=ast.Call(func=ast.Name(id=name)) as call) if name == function:
                    calls.append(self._call(call, function))
                case _:
                    raise NotPlainError(statement, f"this is run as code: {self._shown(statement)}")
        return calls

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=str() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._value(element) for element in elements]
            case ast.Dict(keys=keys, values=values) if None not in keys:
                names = [self._value(key) for key in keys if key]
                if all(isinstance(name, str) for name in names):
                    return dict(zip(names, map(self._value, values), strict=True))
            case ast.Name(id=name) if name in self._values:
                if isinstance(known := self._values[name], NotPlainError):
                    raise known
                return known
            case ast.Attribute(value=ast.Name(id=name), attr=member) if name in self._enumerations:
                return Member(name, member)
            case ast.Call(func=ast.Name(id="list"), args=[value], keywords=[]):
                return self._list(value)
            case ast.Call(func=ast.Name(id=name)) if name in self._constructors:
                return self._call(node, name)
        raise NotPlainError(node, f"this is not written out as a value: {self._shown(node)}")

    def _list(self, node: ast.expr) -> list[Any]:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[_, *_] as arguments, keywords=[]):
                numbers = [self._value(argument) for argument in arguments]
                if all(isinstance(number, int) for number in numbers) and len(numbers) <= 3:
                    span = range(*numbers) if 0 not in numbers[2:] else range(0)
                    if not span[_MOST_NUMBERS:]:
                        return list(span)
            case ast.List() | ast.Tuple():
                return self._value(node)
        raise NotPlainError(node, f"this is not written out as a value: {self._shown(node)}")

    def _call(self, node: ast.Call, function: str) -> Call:
        names = self._constructors[function]
        given = dict(zip(names, node.args, strict=False))
        if len(node.args) > len(names):
            raise NotPlainError(node, f"{function} takes {len(names)} arguments")
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg not in names or keyword.arg in given:
                known = ", ".join(names)
                raise NotPlainError(node, f"{function} takes {known}, not {keyword.arg or '**'}")
            given[keyword.arg] = keyword.value
        return Call(function, node, {name: self._value(value) for name, value in given.items()})

    def _shown(self, node: ast.AST) -> str:
        text = " ".join((ast.get_source_segment(self._source, node) or "").split())
        return text if len(text) <= 60 else f"{text[:57]}..."
