"""Lists of findings: what is wrong with a dataset, or with the environment of a trainer."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, overload


class _Finding(Protocol):
    @property
    def severity(self) -> str:
        """``error``, ``warning`` or ``ok``."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """The finding as an object of JSON."""
        ...


F = TypeVar("F", bound=_Finding)


class FindingList(Sequence[F]):
    """Findings in the order in which they are told.

    Args:
        items: Those that are listed.
        error_count: Errors, listed or not; the listed ones where left out.
        warning_count: Warnings, likewise.
    """

    def __init__(
        self,
        items: Sequence[F],
        error_count: int | None = None,
        warning_count: int | None = None,
    ) -> None:
        self._items = tuple(items)
        self.error_count = len(self.errors) if error_count is None else error_count
        self.warning_count = len(self.warnings) if warning_count is None else warning_count

    @overload
    def __getitem__(self, index: int) -> F: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[F]: ...
    def __getitem__(self, index: int | slice) -> F | Sequence[F]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    @property
    def errors(self) -> list[F]:
        """Those that keep a training from being started."""
        return [item for item in self if item.severity == "error"]

    @property
    def warnings(self) -> list[F]:
        """What is odd and yet usable."""
        return [item for item in self if item.severity == "warning"]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.error_count == 0

    def summary(self) -> str:
        """The counts in words.

        Example:
            >>> FindingList([]).summary()
            'no errors, no warnings'
        """
        return f"{_counted(self.error_count, 'error')}, {_counted(self.warning_count, 'warning')}"

    def to_json(self) -> dict[str, Any]:
        """Counts, and the findings as objects; the counts include those that are not listed."""
        return {
            "ok": self.ok,
            "errors": self.error_count,
            "warnings": self.warning_count,
            "findings": [item.model_dump() for item in self],
        }


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
