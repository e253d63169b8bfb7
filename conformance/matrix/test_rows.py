"""Every row of docs/conversions.md is proved by a test of this folder, and no test names a row that is not there."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/conversions.md"


def rows() -> list[str]:
    """The ids of the page's tables, in order."""
    return re.findall(r"^\| (C-[a-z0-9-]+) \|", PAGE.read_text(), re.MULTILINE)


def citations() -> set[str]:
    """The ids in the `rule` marks of this folder's tests."""
    cited = set()
    for file in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
                cited.update(argument.value for argument in node.args)
    return cited


def test_every_row_has_a_test():
    assert set(rows()) - citations() == set()


def test_every_citation_has_a_row():
    assert citations() - set(rows()) == set()


def test_row_ids_are_unique():
    assert len(rows()) == len(set(rows()))
