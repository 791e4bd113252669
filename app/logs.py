"""Lines of the log as JSON objects, where `settings.log_format` asks for that: one object a line, on stderr.

| field | what it holds |
|---|---|
| ``time`` | UTC, as in 2026-01-31T23:59:59.123Z |
| ``level`` | INFO, WARNING, ERROR, CRITICAL |
| ``logger`` | which part of the program |
| ``message`` | in words |
| ``run`` | the id of the run that the line is about, if it is about one: whoever has it can open the run |
| ``error`` | the stack of an exception, if there is one |
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import settings

TAKEN = ("uvicorn", "streamlit", "websockets")
"""Loggers with handlers of their own, whose lines are written as all others."""
SILENT = "uvicorn.access"
"""A line for each request is a proxy's to write."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if hasattr(record, "run"):
            line |= {"run": str(record.run)}
        if record.exc_info:
            line |= {"error": self.formatException(record.exc_info)}
        return json.dumps(line, ensure_ascii=False)


def set_up() -> None:
    """Write the log as `settings.log_format` says; raises `errors.BadSetting`."""
    if settings.log_format() != "json":
        return
    root = logging.getLogger()
    if not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        root.handlers = [handler]
    logging.getLogger("foolscope").setLevel(logging.INFO)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.split(".")[0] in TAKEN and name != SILENT:
            logger.handlers, logger.propagate = [], True
