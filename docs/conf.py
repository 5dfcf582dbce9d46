"""Settings of Sphinx; `make docs` renders the pages, with warnings as errors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from atomate2_vogen import VANADIUM, __version__

project = "atomate2-vogen"
author = "The atomate2-vogen developers"
copyright = author  # noqa: A001 - Sphinx's name
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"atomate2-vogen {__version__}"
myst_heading_anchors = 3

default_role = "py:obj"  # names in single backticks lead to their page where there is one
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
autodoc_default_options = {"members": True, "show-inheritance": True}


def describe_fields(
    _app: Any, what: str, _name: str, thing: Any, _options: Any, lines: list[str]
) -> None:
    """Fields of a document with their types and descriptions, below its docstring."""
    if what != "class" or not (isinstance(thing, type) and issubclass(thing, BaseModel)):
        return
    if thing.model_fields:
        lines += ["", "Attributes", "----------"]
    for name, field in thing.model_fields.items():
        annotation = thing.__annotations__.get(name, getattr(field.annotation, "__name__", ""))
        lines += [f"{name} : {annotation}", f"    {field.description or ''}".rstrip()]


def name_the_system(
    _app: Any, _what: str, _name: str, _thing: Any, _options: Any, signature: str | None, back: str
) -> tuple[str | None, str]:
    """The default system by its name: its tables would fill half of a page."""
    return signature and signature.replace(repr(VANADIUM), "VANADIUM"), back


def setup(app: Any) -> None:
    """The first before napoleon, which then renders what is added."""
    app.connect("autodoc-process-signature", name_the_system)
    app.connect("autodoc-process-docstring", describe_fields, priority=100)
