"""From values to HTML: the template beside this file, in which whatever is text stays text."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from capsnet.report.runs import caption, caveats
from capsnet.report.web.facts import facts, table_caveats
from capsnet.report.web.images import failures


def rendered(values: Mapping[str, Any]) -> str:
    """`template.html`, filled in. Raises UndefinedError where a value is missing."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"slug": slug, "breakable": breakable}
    environment.filters |= {"facts": facts, "table_caveats": table_caveats}
    environment.filters |= {"caption": caption, "caveats": caveats, "failures": failures}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template("template.html").render(values)


def slug(words: str) -> str:
    """'none: short schedule' -> 'none-short-schedule'."""
    return re.sub(r"\W+", "-", words.lower()).strip("-")


def breakable(words: str) -> Markup:
    """Let an experiment's name break where a narrow screen needs it."""
    return escape(words).replace("_", Markup("_<wbr>"))
