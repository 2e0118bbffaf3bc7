"""Give the comments of a header to Doxygen: a filter that prints one header.

The headers are a manual that is read as text, and their comments have no marks of Doxygen. This
filter adds the marks:

- ``/* ---- Writing ---- */`` begins a group, and a header of C++ is a group as a whole.
- A comment above a declaration belongs to the declaration, and to those that follow without an
  empty line.
- A comment behind a member belongs to the member.
- A comment above an empty line belongs to the group. build.py writes it above the declarations.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SECTION = re.compile(r"^/\* -{4} (.+?) -{4,} \*/$")
ONE_LINE = re.compile(r"^(\s*)/\* (.*) \*/$")
TRAILING = re.compile(r"^(\s*[^\s/#].*?[;,\w]) ?\s*/\* (.*) \*/$")
FUNCTION = re.compile(r"\b(datablock_\w+)\b(?!\()")
EXPORTED = re.compile(r"^(?:DATABLOCK_API|static inline)\b(?:[^;{]*?)\b(datablock_\w+)\(", re.MULTILINE)
# The definition of a member of a class behind the class, which has the comment.
OUTSIDE = re.compile(r"^(?!class|struct|using|namespace|#|/| ).*\b[A-Z]\w*(?:<\w+>)?::~?\w+\(")
NAMESPACE = re.compile(r"^(?:namespace \w+ \{|\} // namespace \w+)$")
FRAME = re.compile(r"^(?:namespace|extern|#|\}|$)")


def functions(folder: Path) -> set[str]:
    """Return the functions of C that the headers declare."""
    return set(EXPORTED.findall((folder / "datablock.h").read_text("utf-8")))


def group_name(header: str, title: str) -> str:
    """Return the name of a group, which is also the name of its page."""
    words = re.sub(r"\W+", "_", title.lower()).strip("_")
    return f"c_{Path(header).stem}_{words}" if header.endswith(".h") else f"cpp_{words}"


def sections(header: Path) -> list[tuple[str, str]]:
    """Return name and title of the groups of a header, in their order."""
    if header.suffix == ".hpp":
        return [(group_name(header.name, header.stem), summary(header))]
    found = [(group_name(header.name, header.stem), summary(header))]
    for line in header.read_text("utf-8").splitlines():
        if match := SECTION.match(line):
            found.append((group_name(header.name, match[1]), match[1]))
    return found


def summary(header: Path) -> str:
    """Return what the first line of the header says of it."""
    first = header.read_text("utf-8").splitlines()[1]
    return first.partition(" - ")[2].strip()


def descriptions(header: Path, known: set[str]) -> dict[str, str]:
    """Return the comments of each group that belong to no declaration."""
    reading = Filter(header, known)
    reading.run()
    return {group: "\n\n".join(texts) for group, texts in reading.free.items()}


def escaped(text: str) -> str:
    return re.sub(r"([\\@<>&#%$])", r"\\\1", text)


class Writer:
    def __init__(self, known: set[str]) -> None:
        self.known = known

    def words(self, text: str) -> str:
        """Mark code and the names of functions in a line of prose."""
        parts = re.split(r"(`[^`]*`)", text)
        for i, part in enumerate(parts):
            if part.startswith("`"):
                parts[i] = f"<code>{escaped(part[1:-1])}</code>" if len(part) > 2 else ""
            else:
                parts[i] = FUNCTION.sub(
                    lambda m: m[1] + "()" if m[1] in self.known else m[1], escaped(part)
                )
        return "".join(parts)

    def comment(self, lines: list[str], mark: str = "/**") -> list[str]:
        """Return the lines of a comment for Doxygen. `lines` have no marks of comments."""
        out, code = [mark], False
        for line in lines:
            deep = len(line) - len(line.lstrip()) >= 4 and line.strip() != ""
            if deep and not code:
                out.append("@verbatim")
            elif code and not deep and line.strip():
                out.append("@endverbatim")
            code = deep or (code and not line.strip())
            out.append(line if code else self.words(line))
            if not code and re.match(r"^(Errors|Waits and errors):", line.lstrip()) and len(out) > 2:
                out.insert(-1, "")
        if code:
            out.append("@endverbatim")
        return [*out, "*/"]


def bare(lines: list[str]) -> list[str]:
    """Return the text of a comment of several lines."""
    inside = [re.sub(r"^\s*\*( |$)", "", line) for line in lines[1:-1]]
    return inside


class Filter:
    def __init__(self, header: Path, known: set[str]) -> None:
        self.header, self.writer = header, Writer(known)
        self.lines = header.read_text("utf-8").splitlines()
        self.out: list[str] = []
        self.group = group_name(header.name, header.stem)
        self.free: dict[str, list[str]] = {}
        self.repeat: list[str] = []
        self.again = False

    def run(self) -> str:
        start = self.heading_end()
        self.out = [f"/** @defgroup {self.group} {escaped(summary(self.header))} */"]
        self.spaces = self.header.suffix == ".hpp"
        if not self.spaces:
            self.out.append(f"/** @addtogroup {self.group}\n@{{ */")
        i = start
        while i < len(self.lines):
            i = self.step(i)
        return "\n".join([*self.out, "" if self.spaces else "/** @} */", ""])

    def heading_end(self) -> int:
        """Return the line behind the heading, which build.py makes a page of."""
        return next(i for i, line in enumerate(self.lines) if line == " */") + 1

    def step(self, i: int) -> int:
        line = self.lines[i]
        if self.spaces and OUTSIDE.match(line) and not line.endswith(";"):
            rest = range(i, len(self.lines))
            return next(k for k in rest if self.lines[k].endswith("}") and self.lines[k][0] != " ") + 1
        if (match := SECTION.match(line)) and self.spaces:
            return i + 1
        if match:
            self.group = group_name(self.header.name, match[1])
            self.out.append(
                f"/** @}} */\n/** @defgroup {self.group} {escaped(match[1])}\n*/"
                f"\n/** @addtogroup {self.group}\n@{{ */"
            )
            return i + 1
        if line.strip() == "/*":
            end = next(k for k in range(i, len(self.lines)) if self.lines[k].strip().endswith("*/"))
            return self.place(bare(self.lines[i : end + 1]), end + 1)
        if match := ONE_LINE.match(line):
            return self.place([match[2]], i + 1)
        if line.strip().startswith("/* ") and "*/" not in line:
            end = next(k for k in range(i, len(self.lines)) if self.lines[k].rstrip().endswith("*/"))
            text = [line.strip()[3:], *(x.strip().removeprefix("* ") for x in self.lines[i + 1 : end + 1])]
            text[-1] = text[-1].removesuffix("*/").rstrip()
            return self.place(text, end + 1)
        if (match := TRAILING.match(line)) and not line.rstrip().endswith("\\"):
            self.out.append(match[1])
            self.out.extend(self.writer.comment([match[2]], "/**<"))
            return i + 1
        self.plain(line, i)
        return i + 1

    def place(self, text: list[str], following: int) -> int:
        """Write a comment in front of line `following`."""
        after = self.lines[following] if following < len(self.lines) else ""
        if FRAME.match(after) and not after.startswith("#define"):
            self.free.setdefault(self.group, []).append("\n".join(text))
            self.repeat = []
        else:
            self.repeat = self.writer.comment(text)
            self.out.extend(self.repeat)
        self.again = False
        return following

    def plain(self, line: str, i: int) -> None:
        # One declaration of a type, where C has two: of the struct and of its typedef.
        line = re.sub(r"^typedef (struct|enum)( \w+ \{)$", r"\1\2", line)
        line = re.sub(r"^\} \w+;$", "};", line)
        if not line.strip() or line.startswith(("}", "#", "typedef", "enum")):
            self.repeat, self.again = [], False
        elif self.again and line.startswith("DATABLOCK_API"):
            self.out.extend(self.repeat)
        if line.startswith("DATABLOCK_API"):
            self.again = True
        if self.spaces:
            line = re.sub(r"^class \[\[\w+\]\]", "class", line)  # which Doxygen does not read
            if NAMESPACE.match(line) and "namespace detail" not in line:
                self.namespace(line)
                return
        self.out.append(line)

    def namespace(self, line: str) -> None:
        """Leave the group in front of a namespace and enter it behind: no group has namespaces."""
        outermost = line.endswith("namespace datablock {")
        last = line == "} // namespace datablock"
        self.out += [] if outermost else ["/** @} */"]
        self.out.append(line)
        self.out += [] if last else [f"/** @addtogroup {self.group}\n@{{ */"]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    include = next(p for p in path.resolve().parents if p.name == "include")
    sys.stdout.write(Filter(path, functions(include)).run())
