"""Build the reference site: `build.py SOURCE BUILD` writes BUILD/site.

The pages are the Markdown of the repository, the headers through Doxygen, the public Go packages
through golang/, and the docstrings of the Python package. Sphinx makes one site of them, with one
navigation and one search. Each warning is an error.

A comment `<!-- picture FILE: TEXT -->` in a page becomes the picture BUILD/FILE, which the build
has taken from the running programs. TEXT says what it shows, for those who cannot see it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import comments

HERE = Path(__file__).resolve().parent
NOT_OURS = {".git", ".venv", ".tools", "build", "node_modules", "target", "vendor", "site", "testdata"}
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"(?ms)^```.*?^```|`[^`\n]*`")
CODE_OF = {".go": "go", ".c": "c", ".h": "c", ".hpp": "cpp", ".py": "python", ".sh": "bash", ".json": "json"}
C_HEADERS = ["datablock.h", "datablock_schema.h"]
PICTURE = re.compile(r"(?ms)^<!-- picture (\S+):\s+(.*?) -->$")
# The tests that take pictures of the programs, and what the pictures need.
PICTURED = "^(TestPicturesOfTop|TestPageFiguresAndPlotsMove|TestPageShowsAKilledConsumerAndReleasesIt)$"
WITHOUT = {
    "pictures": "There is no picture: this site was built without tmux and Chromium.",
    "bench-peers": "There is no plot: this site was built where `make bench PEERS=1` has not run.",
}


def markdown_files(source: Path) -> list[Path]:
    """Return the pages of the repository, relative to its root."""
    found = []
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(f for f in folders if f not in NOT_OURS)
        found += [(Path(folder) / f).relative_to(source) for f in files if f.endswith(".md")]
    return sorted(found)


class Pages:
    """Copies pages to where Sphinx reads them. Links to sources lead to pages that show them."""

    def __init__(self, source: Path, build: Path, out: Path) -> None:
        self.source, self.build, self.out = source, build, out
        self.pages = markdown_files(source)
        self.shown: set[Path] = set()

    def copy(self) -> None:
        for page in self.pages:
            text = (self.source / page).read_text("utf-8")
            kept: list[str] = []

            def keep(match: re.Match[str], kept: list[str] = kept) -> str:
                kept.append(match[0])
                return f"\0{len(kept) - 1}\0"

            text = FENCE.sub(keep, text)
            text = LINK.sub(lambda m, page=page: self.link(page, m), text)
            while "\0" in text:
                text = re.sub("\0(\\d+)\0", lambda m, kept=kept: kept[int(m[1])], text)
            text = PICTURE.sub(lambda m, page=page: self.picture(page, m), text)
            write(self.out / page, text)
        self.list_below(Path("examples"))
        for path in sorted(self.shown):
            self.show(path)

    def list_below(self, folder: Path) -> None:
        """Give the page of a folder a navigation to the pages below it."""
        below = [str(p.relative_to(folder).with_suffix("")) for p in self.pages if p.parts[0] == folder.name]
        names = "\n".join(name for name in below if name != "README")
        page = self.out / folder / "README.md"
        write(page, f"{page.read_text('utf-8')}\n```{{toctree}}\n:hidden:\n\n{names}\n```\n")

    def link(self, page: Path, match: re.Match[str]) -> str:
        target = match[2]
        if ":" in target:
            return match[0]
        path = Path(os.path.normpath(page.parent / target))
        whole = self.source / path
        if path in self.pages:
            return match[0]
        if match[1].startswith("!") or path.suffix in {".svg", ".png"}:
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(whole, self.out / path)
            return match[0]
        if (path / "README.md") in self.pages:
            return f"{match[1]}{target.rstrip('/')}/README.md{match[3]}"
        self.shown.add(path)
        return f"{match[1]}{os.path.relpath(Path('sources') / f'{path}.md', page.parent)})"

    def picture(self, page: Path, match: re.Match[str]) -> str:
        """Return the picture of a comment, or why there is none."""
        file, said = Path(match[1]), " ".join(match[2].split())
        if not (self.build / file).exists():
            return f"*{WITHOUT[file.parts[0]]}*"
        target = self.out / page.parent / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.build / file, target)
        return f"![{said}]({file})"

    def show(self, path: Path) -> None:
        """Write a page with the text of a file, or with the names in a folder."""
        whole = self.source / path
        head = f"---\norphan: true\nnosearch: true\n---\n\n# {path}\n\n"
        if whole.is_dir():
            files = [f for f in sorted(whole.iterdir()) if f.is_file()]
            body = "\n".join(f"## {f.name}\n\n{code(f)}" for f in files)
        else:
            body = code(whole)
        write(self.out / "sources" / f"{path}.md", head + body)


def code(file: Path) -> str:
    """Return the text of a file as a block of code."""
    language = CODE_OF.get(file.suffix, "text")
    return f"``````{{code-block}} {language}\n{file.read_text('utf-8')}\n``````\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def heading(header: Path) -> str:
    """Return the heading of a header as Markdown."""
    lines = header.read_text("utf-8").splitlines()
    end = lines.index(" */")
    out = []
    for line in (x.removeprefix(" *").removeprefix(" ") for x in lines[3:end]):
        if "Copyright (c)" in line:
            continue
        title = re.fullmatch(r"[A-Z][A-Z ]+", line)
        # `<` and `*` are text, except around one word
        out.append(f"## {line.capitalize()}" if title else line)
    text = "\n".join(out).strip()
    return markdown(text)


def markdown(text: str) -> str:
    """Return the text of a comment as Markdown."""
    return re.sub(r"(?m)^( *(?:- )?)(.*)$", prose, text)


def prose(match: re.Match[str]) -> str:
    """Protect a line of prose from Markdown; a line of code stays."""
    if len(match[1]) >= 4 and "- " not in match[1]:
        return match[0]
    return match[1] + re.sub(r"([\\<$])", r"\\\1", match[2])


def c_pages(source: Path, out: Path) -> None:
    include = source / "include"
    names = []
    for file in C_HEADERS:
        header = include / file
        groups = comments.sections(header)
        names.append(Path(file).stem)
        inside = "\n".join(f"{g}" for g, _ in groups[1:])
        said = comments.descriptions(header, comments.functions(include))
        first = group_directive("c", groups[0][0])
        toc = f"\n```{{toctree}}\n:maxdepth: 1\n\n{inside}\n```\n" if inside else ""
        write(
            out / f"reference/c/{names[-1]}.md",
            f"# {file}: {groups[0][1]}\n\n{heading(header)}\n{toc}\n## Declarations\n\n{first}",
        )
        for group, title in groups[1:]:
            text = f"# {title}\n\n{markdown(said.get(group, ''))}\n\n{group_directive('c', group)}"
            write(out / f"reference/c/{group}.md", text)
    inline = heading(include / "datablock_inline.h")
    write(out / "reference/c/datablock_inline.md", f"# datablock_inline.h: the fast path\n\n{inline}\n")
    toc = "\n".join(f"{name}.h <{name}>" for name in [*names, "datablock_inline"])
    write(
        out / "reference/c/index.md",
        "# C\n\nOne header has the whole interface. The pages follow its sections, from simple to "
        f"special.\n\n```{{toctree}}\n:maxdepth: 2\n\n{toc}\n```\n",
    )


def group_directive(project: str, group: str) -> str:
    return f"```{{doxygengroup}} {group}\n:project: {project}\n:content-only:\n:members:\n:undoc-members:\n```\n"


def cpp_pages(source: Path, out: Path) -> list[Path]:
    """Write the pages of C++, and return the headers in the order of datablock.hpp."""
    include = source / "include"
    whole = include / "datablock.hpp"
    parts = [include / p for p in re.findall(r'#include "(datablock/\w+\.hpp)"', whole.read_text("utf-8"))]
    names = []
    for part in parts:
        group = comments.group_name(part.name, part.stem)
        names.append(group)
        title = comments.summary(part)
        intro = heading(part) + "\n\n" + markdown(comments.descriptions(part, set()).get(group, ""))
        write(
            out / f"reference/cpp/{group}.md",
            f"# {part.stem}.hpp: {title}\n\n{intro}\n\n{group_directive('cpp', group)}",
        )
    toc = "\n".join(f"{part.stem}.hpp <{name}>" for part, name in zip(parts, names, strict=True))
    write(
        out / "reference/cpp/index.md",
        f"# C++\n\n{heading(whole)}\n\n```{{toctree}}\n:maxdepth: 1\n:caption: Parts\n\n{toc}\n```\n",
    )
    return parts


def doxygen(source: Path, work: Path, language: str, inputs: list[Path]) -> None:
    folder = work / "xml" / language
    folder.mkdir(parents=True)
    options = {
        "INPUT": " ".join(f'"{p}"' for p in inputs),
        "OUTPUT_DIRECTORY": f'"{folder}"',
        "INPUT_FILTER": f'"{sys.executable} {HERE / "comments.py"}"',
        "PREDEFINED": "DATABLOCK_HPP_HOT= DATABLOCK_HPP_COLD= DATABLOCK_HPP_EXCEPTION= DATABLOCK_HAS_HPP=1 "
        '__STDC_VERSION__=201710L "DATABLOCK_HPP_LIKELY(x)=(x)" __cpp_lib_span=1'
        if language == "cpp"
        else "DATABLOCK_DECLARATIONS_ONLY=1 DATABLOCK_API= __STDC_VERSION__=201710L",
        "OPTIMIZE_OUTPUT_FOR_C": "YES" if language == "c" else "NO",
        "EXTENSION_MAPPING": "h=C hpp=C++",
    }
    text = (HERE / "Doxyfile").read_text("utf-8")
    write(folder / "Doxyfile", text + "".join(f"{k} = {v}\n" for k, v in options.items()))
    run(["doxygen", str(folder / "Doxyfile")])


def python_pages(source: Path, out: Path) -> None:
    package = source / "python/datablock_ctypes"
    kinds: dict[str, list[str]] = {"classes": [], "errors": [], "enumerations": [], "functions": []}
    for name, kind in public_names(package):
        kinds[kind].append(name)
    pages = out / "reference/python"
    for name in kinds["classes"]:
        write(pages / f"{name}.rst", titled(name) + member("autoclass", name, inherited=True))
    for kind in ("errors", "enumerations", "functions"):
        directive = "autofunction" if kind == "functions" else "autoclass"
        text = titled(kind.capitalize()) + "".join(member(directive, n) for n in kinds[kind])
        write(pages / f"{kind}.rst", text)
    write(
        pages / "aio.rst",
        titled("datablock_ctypes.aio") + ".. automodule:: datablock_ctypes.aio\n   :members:\n   :inherited-members:\n",
    )
    toc = "\n   ".join(["Guide </python/README>", "functions", *kinds["classes"], "enumerations", "errors", "aio"])
    write(
        pages / "index.rst",
        titled("Python")
        + ".. automodule:: datablock_ctypes\n   :no-members:\n\n"
        + f".. toctree::\n   :maxdepth: 1\n\n   {toc}\n",
    )


def titled(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n\n.. currentmodule:: datablock_ctypes\n\n"


def member(directive: str, name: str, inherited: bool = False) -> str:
    options = "" if directive == "autofunction" else "   :members:\n   :undoc-members:\n"
    # the private base of a class is no page; the errors derive from one another
    options += "   :inherited-members: tuple\n" if inherited else "   :show-inheritance:\n" if options else ""
    return f".. {directive}:: {name}\n{options}\n"


def public_names(package: Path) -> list[tuple[str, str]]:
    """Return the names of the package's __all__ with the page that each belongs on."""
    sys.path.insert(0, str(package.parent))
    import enum
    import inspect

    import datablock_ctypes

    found = []
    for name in datablock_ctypes.__all__:
        what = getattr(datablock_ctypes, name)
        if not inspect.isclass(what):
            kind = "functions"
        elif issubclass(what, BaseException):
            kind = "errors"
        else:
            kind = "enumerations" if issubclass(what, enum.Enum) else "classes"
        found.append((name, kind))
    return found


def other_pages(source: Path, out: Path) -> None:
    """Write the pages of Rust and Node.js: the declarations in their sources."""
    types = source / "bindings/node/index.d.ts"
    write(
        out / "reference/node.md",
        f"# Node.js: declarations\n\nThe types of the package, `index.d.ts`.\n\n``````{{code-block}} typescript\n"
        f"{types.read_text('utf-8')}\n``````\n",
    )
    text = "# Rust: declarations\n\nThe public items of the crate `datablock` with their comments.\n"
    for file in sorted((source / "bindings/rust/src").glob("*.rs")):
        text += f"\n## {file.name}\n\n``````{{code-block}} rust\n{rust_items(file)}\n``````\n"
    write(out / "reference/rust.md", text)
    for binding, title in (("rust", "Rust"), ("node", "Node.js")):
        write(
            out / f"reference/{binding}-index.md",
            f"# {title}\n\n```{{toctree}}\n:maxdepth: 2\n\n../bindings/{binding}/README\n{binding}\n```\n",
        )
    write(
        out / "reference/go/index.md",
        "# Go\n\n```{toctree}\n:maxdepth: 1\n\ndatablock/index\nschema/index\n```\n",
    )


def rust_items(file: Path) -> str:
    """Return the public items of a file of Rust, each with its comment and without its body."""
    out: list[str] = []
    comment: list[str] = []
    lines = iter(file.read_text("utf-8").splitlines())
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("//!"):
            out.append(line)
        elif stripped.startswith(("///", "#[must_use", "#[non_exhaustive")):
            comment.append(line)
        elif re.match(r"(impl\b|pub (?!use|mod|\())", stripped):
            signature = [line]
            while not re.search(r"[;{}]\s*$", signature[-1]):
                signature.append(next(lines))
            signature[-1] = re.sub(r"\s*\{\s*$", "", signature[-1])
            out += ["", *comment, *signature] if comment or stripped.startswith("impl") else ["", *signature]
            comment = []
        elif stripped and not stripped.startswith("#["):
            comment = []
    return "\n".join(out).strip()


def run(command: list[str], **environment: str) -> None:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        sys.exit(f"{said}\nsite: failed: {' '.join(command)}")


def version_of(source: Path) -> str:
    text = (source / "include/datablock.h").read_text("utf-8")
    return ".".join(re.findall(r"#define DATABLOCK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text))


def take_pictures(source: Path, build_folder: Path) -> None:
    """Take the pictures of the programs. A test whose tools are missing takes none."""
    shutil.rmtree(build_folder / "pictures", ignore_errors=True)
    run(
        ["go", "-C", str(source / "cmd"), "test", "-buildvcs=false", "-count=1", "-run", PICTURED,
         "./internal/command", "./internal/dashboard"],
        DATABLOCK_BUILD=str(build_folder),
    )


def build(source: Path, build_folder: Path) -> None:
    work, site = build_folder / "site-work", build_folder / "site"
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(site, ignore_errors=True)
    out = work / "pages"
    take_pictures(source, build_folder)
    Pages(source, build_folder, out).copy()
    for page in (HERE / "pages").glob("*.md"):
        shutil.copyfile(page, out / page.name)
    c_pages(source, out)
    parts = cpp_pages(source, out)
    python_pages(source, out)
    other_pages(source, out)
    doxygen(source, work, "c", [source / "include" / h for h in C_HEADERS])
    doxygen(source, work, "cpp", parts)
    generator = ["go", "-C", str(source), "run", "-buildvcs=false", "./scripts/site/golang"]
    run([*generator, ".", str(out / "reference/go")], GOWORK="off")
    run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", str(HERE), "-b", "html",
         "-d", str(work / "doctrees"), str(out), str(site)],
        DATABLOCK_SOURCE=str(source), DATABLOCK_SITE=str(work), DATABLOCK_VERSION=version_of(source),
        PYTHONDONTWRITEBYTECODE="1",
    )
    shutil.rmtree(site / ".buildinfo", ignore_errors=True)
    print(f"site: {site}/index.html")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: build.py SOURCE BUILD")
    build(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
