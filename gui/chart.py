"""The last hour, painted: accepted, delivered and failed in each step of time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from dropsafe.gui.theme import GRID, SMALL, font, in_force
from dropsafe.gui.words import clock, moment, number

_LEFT, _BOTTOM, _TOP = 48, 22, 8


class HourChart(QWidget):
    """Each line has a colour, a dash and a name, so that none is told by colour alone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: Sequence[Sequence[int]] = ()
        self._step = 60.0
        self._empty = ""
        self._since = ""
        self.setMinimumHeight(140)
        self.setMaximumHeight(300)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("The last hour"))

    def show_series(self, step_seconds: float, points: Sequence[Sequence[int]], since: str = "") -> None:
        """`points`: (accepted, delivered, failed) of each step, the oldest first. `since`: ISO 8601, when it began to count."""
        self._step, self._points, self._empty = step_seconds, points, ""
        is_younger = bool(since) and moment(since) > time.time() - step_seconds * len(points)
        self._since = clock(since)[11:16] if is_younger else ""
        sums = [sum(point[line] for point in points) for line in range(3)]
        self.setAccessibleDescription(
            self.tr("Accepted {0}, delivered {1}, failed {2}").format(*(number(total) for total in sums))
        )
        self.update()

    def show_nothing(self, why: str) -> None:
        """There are no figures, and that is why."""
        self._points, self._empty = (), why
        self.setAccessibleDescription(why)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(600, 200)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = in_force()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(SMALL))
        area = QRectF(_LEFT, _TOP + 20, self.width() - _LEFT - GRID, self.height() - _TOP - 20 - _BOTTOM)
        most = _round_up(max((max(point) for point in self._points), default=0))
        self._paint_frame(painter, area, most)
        styles = (
            (self.tr("accepted"), colours.busy, Qt.PenStyle.DashLine),
            (self.tr("delivered"), colours.well, Qt.PenStyle.SolidLine),
            (self.tr("failed"), colours.person, Qt.PenStyle.DotLine),
        )
        x = area.left()
        for line, (name, colour, style) in enumerate(styles):
            pen = QPen(QColor(colour), 2, style)
            painter.setPen(pen)
            painter.drawLine(QPointF(x, _TOP + 6), QPointF(x + 24, _TOP + 6))
            painter.setPen(QColor(colours.faint))
            painter.drawText(QPointF(x + 30, _TOP + 10), name)
            x += 44 + painter.fontMetrics().horizontalAdvance(name)
            if len(self._points) > 1:
                painter.setPen(pen)
                painter.drawPolyline(self._line(area, line, most))
        if not any(any(point) for point in self._points):
            painter.setPen(QColor(colours.faint))
            nothing = (
                self.tr("Nothing was accepted or delivered since {0}, when the service began to count.").format(
                    self._since
                )
                if self._since
                else self.tr("Nothing was accepted or delivered in the last hour.")
            )
            text = self._empty or nothing
            half = QRectF(area.left(), area.top(), area.width(), area.height() / 2)
            painter.drawText(half, Qt.AlignmentFlag.AlignCenter, text)
        painter.end()

    def _paint_frame(self, painter: QPainter, area: QRectF, most: int) -> None:
        colours = in_force()
        for part in (0.0, 0.5, 1.0):
            y = area.bottom() - part * area.height()
            painter.setPen(QPen(QColor(colours.line), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(colours.faint))
            if part in (0.0, 1.0) or most > 1:
                place = QRectF(0, y - 8, _LEFT - GRID, 16)
                painter.drawText(
                    place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, number(round(part * most))
                )
        below = QRectF(area.left(), area.bottom() + 4, area.width(), _BOTTOM - 4)
        minutes = max(1, round(self._step * len(self._points) / 60)) if self._points else 60
        left = self.tr("{0} min ago").format(minutes)
        if self._since and self._points:
            left = self.tr("{0} min ago; counted since {1}").format(minutes, self._since)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, left)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, self.tr("now"))

    def _line(self, area: QRectF, line: int, most: int) -> QPolygonF:
        last = len(self._points) - 1
        return QPolygonF(
            [
                QPointF(area.left() + area.width() * place / last, area.bottom() - area.height() * point[line] / most)
                for place, point in enumerate(self._points)
            ]
        )


def _round_up(value: int) -> int:
    """The next of 2, 4, 10, 20, 40, 100, …"""
    step = 1
    while True:
        for factor in (2, 4, 10):
            if value <= factor * step:
                return factor * step
        step *= 10
