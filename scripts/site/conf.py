"""Sphinx: the reference site. build.py runs Sphinx and sets the environment."""

import builtins
import os
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives import ObjectDescription
from sphinx.domains import Domain, ObjType
from sphinx.domains.c import CDomain
from sphinx.domains.cpp import CPPDomain
from sphinx.roles import XRefRole
from sphinx.util.nodes import make_refnode

root = Path(os.environ["DATABLOCK_SOURCE"])
work = Path(os.environ["DATABLOCK_SITE"])
sys.path.insert(0, str(root / "python"))

project = "DataBlock"
author = "The DataBlock authors"
copyright = author
version = release = os.environ["DATABLOCK_VERSION"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "breathe"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
highlight_language = "text"
default_role = "py:obj"
nitpicky = False
suppress_warnings = ["epub.unknown_project_files"]

myst_heading_anchors = 4
myst_links_external_new_tab = False
myst_enable_extensions = ["attrs_inline"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False

breathe_projects = {"c": str(work / "xml/c/xml"), "cpp": str(work / "xml/cpp/xml")}
breathe_default_project = "c"
breathe_domain_by_extension = {"h": "c", "hpp": "cpp"}
breathe_show_include = False
breathe_order_parameters_first = True

html_theme = "furo"
html_title = f"DataBlock {version}"
html_static_path = [str(root / "scripts/site/static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = True
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"


class GoSymbol(ObjectDescription[str]):
    """A name of Go in the index and the search; the page shows the declaration below it."""

    option_spec = {**ObjectDescription.option_spec, "hidden": directives.flag}

    def handle_signature(self, sig, signode):
        if "hidden" not in self.options:
            signode += nodes.literal(sig, sig)
        return sig

    def add_target_and_index(self, name, sig, signode):
        anchor = f"go-{name}"
        signode["ids"].append(anchor)
        self.env.domains["go"].note(name, self.env.docname, anchor)
        self.indexnode["entries"].append(("single", f"{name} (Go)", anchor, "", None))


class GoDomain(Domain):
    """The names of Go."""

    name = "go"
    label = "Go"
    object_types = {"symbol": ObjType("Go symbol", "symbol")}
    directives = {"symbol": GoSymbol}
    roles = {"symbol": XRefRole()}
    initial_data = {"objects": {}}

    def note(self, name, docname, anchor):
        self.data["objects"][name] = (docname, anchor)

    def clear_doc(self, docname):
        for name, (where, _) in list(self.data["objects"].items()):
            if where == docname:
                del self.data["objects"][name]

    def get_objects(self):
        for name, (docname, anchor) in self.data["objects"].items():
            yield name, name, "symbol", docname, anchor, 1

    def resolve_any_xref(self, env, fromdocname, builder, target, node, contnode):
        if target.startswith("go-") and target[3:] in self.data["objects"]:
            docname, anchor = self.data["objects"][target[3:]]
            return [("go:symbol", make_refnode(builder, fromdocname, docname, anchor, contnode))]
        return []


def leave_builtins(app, doctree):
    """Take the links off the types of Python itself: a field may have the same name."""
    for reference in list(doctree.findall(addnodes.pending_xref)):
        if reference.get("refdomain") == "py" and hasattr(builtins, reference["reftarget"]):
            reference.replace_self(nodes.Text(reference["reftarget"]))


class FunctionsOfC(CDomain):
    """C, without the parameters of functions in the search."""

    def get_objects(self):
        return (entry for entry in super().get_objects() if entry[2] != "functionParam")


class FunctionsOfCpp(CPPDomain):
    """C++, in the same way."""

    def get_objects(self):
        hidden = ("functionParam", "templateParam")
        return (entry for entry in super().get_objects() if entry[2] not in hidden)


def setup(app: Sphinx) -> None:
    """Add what Sphinx has no part for."""
    app.add_domain(FunctionsOfC, override=True)
    app.add_domain(FunctionsOfCpp, override=True)
    app.connect("doctree-read", leave_builtins)
    app.add_domain(GoDomain)
