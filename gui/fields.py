"""One control for each kind of value that the configuration's schema knows, with what stands in it as a plain value.

Text that means no value of that kind raises ValueError with the words for beside the field; whether a value is allowed,
the configuration itself says.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from dropsafe.gui.theme import GRID
from dropsafe.gui.widgets import button, column, label, restyle, row
from dropsafe.gui.words import translate


class Field(QWidget):
    """`changed` is emitted whenever a person changes it."""

    changed = Signal()

    @abstractmethod
    def value(self) -> Any:
        """As a plain value; None: nothing is set, so that the default counts. ValueError."""

    @abstractmethod
    def set_value(self, value: Any) -> None:
        """Show it; None: nothing."""

    def mark(self, wrong: bool) -> None:
        """Whether what stands in it cannot be."""
        restyle(self.focusProxy() or self, "wrong", "true" if wrong else "false")


class _Line(Field):
    def __init__(self, placeholder: str) -> None:
        super().__init__()
        self._line = QLineEdit()
        self._line.setPlaceholderText(placeholder)
        self._line.textEdited.connect(self.changed)
        self.setFocusProxy(self._line)
        self.setLayout(column(self._line))

    def _text(self) -> str:
        return self._line.text().strip()

    def set_value(self, value: Any) -> None:
        self._line.setText("" if value is None else str(value))
        self._line.setCursorPosition(0)


class TextField(_Line):
    """A string."""

    def value(self) -> str | None:
        return self._text() or None


class NumberField(_Line):
    """An integer, or any number."""

    def __init__(self, placeholder: str, *, whole: bool) -> None:
        super().__init__(placeholder)
        self._whole = whole
        self._line.setMaximumWidth(200)

    def value(self) -> int | float | None:
        text = self._text().replace(",", "").replace("_", "")
        if not text:
            return None
        try:
            return int(text) if self._whole else float(text)
        except ValueError:
            raise ValueError(self.tr("A whole number.") if self._whole else self.tr("A number.")) from None


class NumbersField(_Line):
    """A list of integers, with commas between them."""

    def value(self) -> list[int] | None:
        parts = [part.strip() for part in self._text().split(",") if part.strip()]
        try:
            return [int(part) for part in parts] or None
        except ValueError:
            raise ValueError(self.tr("Whole numbers, with commas between them.")) from None

    def set_value(self, value: Any) -> None:
        super().set_value(", ".join(str(part) for part in value or []))


class SwitchField(Field):
    """True or false."""

    def __init__(self) -> None:
        super().__init__()
        self._box = QCheckBox(self.tr("on"))
        self._box.clicked.connect(self.changed)
        self.setFocusProxy(self._box)
        self.setLayout(column(self._box))

    def value(self) -> bool:
        return self._box.isChecked()

    def set_value(self, value: Any) -> None:
        self._box.setChecked(bool(value))


class ChoiceField(Field):
    """One of a few words."""

    def __init__(self, words: list[str]) -> None:
        super().__init__()
        self._box = QComboBox()
        self._box.addItems(words)
        self._box.activated.connect(self.changed)
        self._box.setMaximumWidth(200)
        self.setFocusProxy(self._box)
        self.setLayout(column(self._box))

    def value(self) -> str:
        return self._box.currentText()

    def set_value(self, value: Any) -> None:
        self._box.setCurrentText(str(value))


class PairsField(Field):
    """Names with a text each: one a line, as `Name: text`."""

    def __init__(self) -> None:
        super().__init__()
        self._text = QPlainTextEdit()
        self._text.setFixedHeight(72)
        self._text.setTabChangesFocus(True)
        self._text.setPlaceholderText(self.tr("Name: text"))
        self._quiet = False
        self._text.textChanged.connect(self._edited)
        self.setFocusProxy(self._text)
        self.setLayout(column(self._text))

    def value(self) -> dict[str, str]:
        pairs = {}
        for line in self._text.toPlainText().splitlines():
            if not line.strip():
                continue
            name, colon, text = line.partition(":")
            if not colon:
                raise ValueError(self.tr("One line for each: Name: text"))
            pairs[name.strip()] = text.strip()
        return pairs

    def set_value(self, value: Any) -> None:
        self._quiet = True
        self._text.setPlainText("\n".join(f"{name}: {text}" for name, text in (value or {}).items()))
        self._quiet = False

    def _edited(self) -> None:
        if not self._quiet:
            self.changed.emit()


class TablesField(Field):
    """A list of tables, each with fields of its own, such as the watched folders."""

    def __init__(self, parts: Mapping[str, Mapping[str, Any]], add: str) -> None:
        super().__init__()
        self._parts = parts
        self._tables: list[_Table] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(GRID * 2)
        more = button(add)
        more.clicked.connect(self._add)
        self.setLayout(column(self._list, row(more, 1)))

    def value(self) -> list[dict[str, Any]]:
        return [table.value() for table in self._tables]

    def set_value(self, value: Any) -> None:
        for table in list(self._tables):
            self._drop(table)
        for content in value or []:
            self._make().set_value(content)

    def _add(self) -> None:
        table = self._make()
        table.set_value({name: part["default"] for name, part in self._parts.items() if "default" in part})
        table.setFocus()
        self.changed.emit()

    def _make(self) -> _Table:
        table = _Table(self._parts)
        table.changed.connect(self.changed)
        table.unwanted.connect(lambda: self._remove(table))
        self._tables.append(table)
        self._list.addWidget(table)
        return table

    def _remove(self, table: _Table) -> None:
        self._drop(table)
        self.changed.emit()

    def _drop(self, table: _Table) -> None:
        self._tables.remove(table)
        self._list.removeWidget(table)
        table.hide()
        table.deleteLater()


class _Table(QWidget):
    changed = Signal()
    unwanted = Signal()

    def __init__(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self._fields = {name: field_for(part) for name, part in parts.items()}
        lines: list[Any] = []
        for name, field in self._fields.items():
            field.changed.connect(self.changed)
            field.setToolTip(parts[name].get("description", ""))
            caption = label(f"{name}{unit_of(parts[name])}", "caption")
            caption.setFixedWidth(180)
            caption.setToolTip(parts[name].get("description", ""))
            (field.focusProxy() or field).setAccessibleName(name)
            line = row(caption, field)
            line.setStretch(1, 1)
            lines.append(line)
        remove = button(self.tr("Watch it no more"), "plain")
        remove.clicked.connect(self.unwanted)
        self.setFocusProxy(next(iter(self._fields.values())))
        self.setLayout(column(*lines, row(remove, 1), spacing=GRID // 2))

    def value(self) -> dict[str, Any]:
        return {name: value for name, field in self._fields.items() if (value := field.value()) is not None}

    def set_value(self, value: Mapping[str, Any]) -> None:
        for name, field in self._fields.items():
            field.set_value(value.get(name))


def field_for(schema: Mapping[str, Any]) -> Field:
    """The control for a value of that schema."""
    hint = _hint(schema)
    if "enum" in schema:
        return ChoiceField([str(word) for word in schema["enum"]])
    match schema.get("type"):
        case "boolean":
            return SwitchField()
        case "integer":
            return NumberField(hint, whole=True)
        case "number":
            return NumberField(hint, whole=False)
        case "array" if "properties" in schema["items"]:
            return TablesField(schema["items"]["properties"], translate("Words", "Watch another folder"))
        case "array":
            return NumbersField(hint)
        case "object":
            return PairsField()
        case _:
            return TextField(hint)


def unit_of(schema: Mapping[str, Any]) -> str:
    """For behind a caption."""
    return f" ({schema['x-unit']})" if schema.get("x-unit") else ""


def _hint(schema: Mapping[str, Any]) -> str:
    if "default" in schema:
        return str(schema["default"])
    if "x-default" in schema:
        return str(schema["x-default"])
    return translate("Words", "not set; for example {0}").format(schema["x-example"]) if "x-example" in schema else ""
