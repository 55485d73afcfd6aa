"""The analysis plan: where its file is, its digest, and the codes that it holds to be the same."""

import re
from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
PLACES = (PACKAGE / "analysis-plan.md", PACKAGE.parents[1] / "docs" / "analysis-plan.md")
DIGITS = 12  # of the digest that are quoted
CODE = "`([0-9a-f]{16})`"  # as fingerprint.code_digest gives it


@cache
def text() -> str | None:
    """Return the plan, or None where it was not installed."""
    found = [place for place in PLACES if place.is_file()]
    return found[0].read_text() if found else None


def quoted() -> str:
    """Return 'plan 0123456789ab', the beginning of the file's SHA-256, or 'plan not here'."""
    found = text()
    return f"plan {sha256(found.encode()).hexdigest()[:DIGITS]}" if found else "plan not here"


def code(digest: str) -> str:
    """Return the name of all code that may be pooled with that of `digest`: the first one's digest.

    The plan names codes that differ in speed or rounding alone in one item, joined by '='.
    """
    for item in re.findall(rf"^- {CODE}((?: =\s+{CODE})+)", text() or "", re.MULTILINE):
        same = [item[0], *re.findall(CODE, item[1])]
        if digest in same:
            return same[0]
    return digest
