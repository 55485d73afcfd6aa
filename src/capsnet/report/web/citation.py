"""Citations from CITATION.cff: the reproduced paper, and this reproduction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from capsnet.errors import UserError


class Citation(NamedTuple):
    """The request to those who cite, and the paper as text and as BibTeX."""

    message: str
    title: str
    text: str
    url: str
    bibtex: str


def citation(path: Path) -> Citation:
    """From the file at `path`. Raises UserError when it names no preferred citation."""
    told = yaml.safe_load(path.read_text())
    try:
        cited = told["preferred-citation"]
        return Citation(told["message"], told["title"], text(cited), cited["url"], bibtex(cited))
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} lacks {error}: the report page tells from it how to cite"
        ) from None


def text(cited: Mapping[str, Any]) -> str:
    """'S. Sabour, N. Frosst and G. E. Hinton (2017): Title. Proceedings.'"""
    *most, last = (f"{_initials(one)} {one['family-names']}" for one in cited["authors"])
    names = " and ".join([", ".join(most), last] if most else [last])
    return f"{names} ({cited['year']}): {cited['title']}. {cited['collection-title']}."


def _initials(author: Mapping[str, str]) -> str:
    return " ".join(f"{name[0]}." for name in author["given-names"].split())


def bibtex(cited: Mapping[str, Any]) -> str:
    """An @inproceedings entry."""
    first = cited["authors"][0]["family-names"].lower()
    names = (f"{one['family-names']}, {one['given-names']}" for one in cited["authors"])
    fields = {
        "author": " and ".join(names),
        "title": cited["title"],
        "booktitle": cited["collection-title"],
        "year": cited["year"],
        "url": cited["url"],
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@inproceedings{{{first}{cited['year']},\n{lines}}}"
