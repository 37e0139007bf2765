"""Rows and answers of the models that are served, and how the scripts here say what they have seen."""

import json
import pathlib

MODELS = pathlib.Path(__file__).parents[4] / "fixtures" / "models"


def rows_of(case):
    """The columns of a model, and rows for it."""
    table = json.loads((MODELS / case / "input.json").read_text())
    return table["columns"], table["data"]


def answers_of(case, method="predict"):
    """What the library that made a model answers to its rows."""
    return json.loads((MODELS / case / "expected.json").read_text())[method]


def seen(what):
    """Tells one thing that went well."""
    print(f"ok: {what}", flush=True)


def refused(error_type, call, *words):
    """Makes a call that must fail, and looks for words in its error."""
    try:
        call()
    except error_type as error:
        text = str(error)
        missing = [word for word in words if word not in text]
        assert not missing, f"{missing} are not in: {text}"
        return
    raise AssertionError(f"was not refused, expected {words}")
