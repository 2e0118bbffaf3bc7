"""Build the reference site, and look at it as a reader does: `site.py BUILD`.

No link leads nowhere, nothing is loaded from elsewhere, and every public name has an entry. In a
browser the search finds a function, from a file and from an HTTP server, and each page fits a
narrow window. The pages show the pictures of the programs. How some of the pages look is in
BUILD/site-pictures.
"""

import contextlib
import functools
import html.parser
import http.server
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
NARROW = 400  # pixels
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src"}


class Page(html.parser.HTMLParser):
    """The names, the links and the loaded files of a page."""

    def __init__(self, text):
        super().__init__()
        self.names, self.links, self.loaded = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("id"):
            self.names.add(values["id"])
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if values.get(LOADED.get(tag)) and values.get("rel") not in ("next", "prev", "index", "search", "author"):
            self.loaded.add(values[LOADED[tag]])


def fail(faults):
    print("\n".join(faults[:50]))
    sys.exit(f"site: {len(faults)} faults")


def read(site):
    pages = {path.relative_to(site).as_posix(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    if len(pages) < 150:
        fail([f"only {len(pages)} pages: are all languages there?"])
    return pages


def check_links(site, pages):
    """Every link has a target, and each loaded file is a file of the site."""
    faults = []
    for name, page in pages.items():
        for link in page.links | page.loaded:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded:
                    faults.append(f"{name} loads {link}, which is not in the site")
                continue
            path = (site / name).parent / urllib.parse.unquote(parts.path) if parts.path else site / name
            target = path.resolve()
            if not target.is_relative_to(site) or not target.is_file():
                faults.append(f"{name}: {link} leads nowhere")
            elif parts.fragment and target.suffix == ".html":
                there = pages[target.relative_to(site).as_posix()].names
                if urllib.parse.unquote(parts.fragment) not in there:
                    faults.append(f"{name}: {link}: the page has no such place")
        for style in re.findall(r"url\((https?:[^)]*)\)", (site / name).read_text("utf-8")):
            faults.append(f"{name} loads {style}")
    for style in site.rglob("*.css"):
        for outside in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']*)", style.read_text("utf-8")):
            faults.append(f"{style.name} loads {outside}")
    return faults


def entries(site):
    """The names of objects.inv with the places that they lead to."""
    data = (site / "objects.inv").read_bytes()
    lines = zlib.decompress(data.split(b"\n", 4)[4]).decode().splitlines()
    found = {}
    for line in lines:
        name, kind, _, place, _ = re.match(r"(.+?)\s+(\S+:\S+)\s+(-?\d+)\s+(\S+)\s+(.*)", line).groups()
        found[kind.split(":")[0], name] = place.replace("$", name)
    return found


def public_names():
    """Every public name, read from the sources in another way than the site reads them."""
    text = (ROOT / "include/datablock.h").read_text("utf-8")
    names = {("c", name) for name in re.findall(r"(?m)^DATABLOCK_API[^;(]*?\b(datablock_\w+)\(", text)}
    names |= {("c", name) for name in re.findall(r"(?m)^\} (\w+);", text)}
    for package, folder in (("datablock", ROOT), ("schema", ROOT / "schema")):
        for file in folder.glob("*.go"):
            if file.name.endswith("_test.go"):
                continue
            source = file.read_text("utf-8")
            for receiver, name in re.findall(r"(?m)^func (?:\(\w* ?\*?(\w+)(?:\[\w+\])?\) )?([A-Z]\w*)[\[(]", source):
                if not receiver or receiver[0].isupper():
                    names.add(("go", f"{package}.{receiver}.{name}" if receiver else f"{package}.{name}"))
            names |= {("go", f"{package}.{name}") for name in re.findall(r"(?m)^type ([A-Z]\w*)", source)}
            for group in re.findall(r"(?ms)^(?:const|var) \((.*?)^\)", source):
                names |= {("go", f"{package}.{name}") for name in re.findall(r"(?m)^\t([A-Z]\w*)\b", group)}
    package = (ROOT / "python/datablock_ctypes/__init__.py").read_text("utf-8")
    listed = package.partition("__all__ = [")[2]
    names |= {("py", f"datablock_ctypes.{name}") for name in re.findall(r'"(\w+)"', listed)}
    for header in (ROOT / "include/datablock").glob("*.hpp"):
        text = re.sub(r"(?ms)^namespace detail \{.*?^\} // namespace detail$", "", header.read_text("utf-8"))
        within = "recovery::" if header.stem == "recovery" else ""
        for name in re.findall(r"(?m)^class (?:\[\[\w+\]\] |DATABLOCK_HPP_EXCEPTION )?(\w+)(?: : [^;{]*)? \{", text):
            names.add(("cpp", f"datablock::{'error::' if name == 'no_producer' else within}{name}"))
    return names


def check_names(site, pages):
    there = entries(site)
    wanted = public_names()
    for language, least in (("c", 80), ("go", 180), ("py", 80), ("cpp", 25)):
        found = sum(1 for of, _ in wanted if of == language)
        if found < least:
            fail([f"only {found} names of {language} were found: does the test still read them?"])
    faults = [f"{language}: {name} has no page" for language, name in sorted(wanted) if (language, name) not in there]
    for (language, name), place in there.items():
        page, _, anchor = place.partition("#")
        if page in pages and anchor and anchor not in pages[page].names:
            faults.append(f"{language}: {name} leads to {place}, where nothing is")
    print(f"site: {len(wanted)} public names, {len(there)} entries")
    return faults


@contextlib.contextmanager
def served(site):
    """The address of an HTTP server that knows the site alone."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def copyfile(self, source, outputfile):
            with contextlib.suppress(ConnectionError):  # the browser has left the page
                super().copyfile(source, outputfile)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def search(browser, base, word, language):
    """Search from the first page, follow the first result, and return the faults."""
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{base}index.html")
    page.fill("input[name=q]", word)
    page.press("input[name=q]", "Enter")
    result = page.locator("#search-results li a").first
    result.wait_for()
    said = page.locator("#search-results li").first.inner_text()
    result.click()
    page.wait_for_url("**/reference/**")
    place = urllib.parse.unquote(urllib.parse.urlsplit(page.url).fragment)
    entry = page.locator(f'[id="{place}"]')
    faults = []
    if word not in said or language not in said or not entry.is_visible() or word not in entry.inner_text():
        faults.append(f"{base}: the search for {word} first finds {said!r}, and leads to {page.url}")
    faults += [f"{base}: asks for {url}" for url in asked if not url.startswith((base, "data:"))]
    page.close()
    return faults


def shade(browser, base, scheme):
    """How bright the first page is, from 0 to 255."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{base}index.html")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3


def fit(browser, base, names):
    """Every page fits a narrow window, without a broken script or a missing file."""
    faults = []
    page = browser.new_context(viewport={"width": NARROW, "height": 900}).new_page()
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    page.on("response", lambda answer: answer.ok or answer.status == 304 or faults.append(f"{answer.url} is missing"))
    for name in sorted(names):
        page.goto(base + name, wait_until="domcontentloaded")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW:
            faults.append(f"{name} is {width} pixels wide in a window of {NARROW}")
    page.context.close()
    return faults


def check_pictures(browser, base, build):
    """A page shows the pictures that its source asks for and the build has. None is empty."""
    faults = []
    page = browser.new_page()
    for source in sorted(ROOT.glob("docs/*.md")):
        asked = re.findall(r"(?m)^<!-- picture (\S+):", source.read_text("utf-8"))
        wanted = [file for file in asked if file.startswith("pictures/") or (build / file).exists()]
        page.goto(f"{base}docs/{source.stem}.html")
        for file in wanted:
            name = file.rpartition("/")[2]
            image = page.locator(f'img[src$="/{name}"]')
            if image.count() != 1:
                faults.append(f"{source.stem}.html shows {file} {image.count()} times")
                continue
            colours = image.evaluate(COLOURS)
            if colours < 8:
                faults.append(f"{source.stem}.html: {file} has {colours} colours")
            if len(image.get_attribute("alt")) < 20:
                faults.append(f"{source.stem}.html does not say what {file} shows")
    page.close()
    return faults


# The number of colours of an image.
COLOURS = """async image => {
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return new Set(new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
}"""


def picture(browser, base, folder):
    for name in ("index", "reference/c/c_datablock_reading", "reference/cpp/cpp_consumer",
                 "reference/go/datablock/Consumer", "reference/python/Consumer", "docs/api", "docs/monitoring"):
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", NARROW)):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 1000})
            page = context.new_page()
            page.goto(f"{base}{name}.html")
            page.screenshot(path=folder / f"{name.replace('/', '-')}-{scheme}-{width}.png")
            context.close()


def check_in_browser(site, pages, pictures, chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play, served(site) as address:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        faults = []
        for base in (address, f"{site.as_uri()}/"):
            faults += search(browser, base, "datablock_write", "C function")
            faults += search(browser, base, "datablock.Consumer.NextBatch", "Go symbol")
            faults += search(browser, base, "with_next_slot", "function")
            light, dark = shade(browser, base, "light"), shade(browser, base, "dark")
            if light < 200 or dark > 60:
                faults.append(f"{base}: the background is {light} in light, {dark} in dark")
        faults += fit(browser, address, pages)
        faults += check_pictures(browser, address, site.parent)
        picture(browser, address, pictures)
        browser.close()
    return faults


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    code = subprocess.run([ROOT / "scripts/site/run.sh", build], check=False).returncode
    if code:
        sys.exit(code)
    site, pictures = build / "site", build / "site-pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir()
    pages = read(site)
    faults = check_links(site, pages) + check_names(site, pages)
    if faults:
        fail(faults)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("NOT RUN: no chromium, so the pages were not looked at; `make setup DOCS=1` installs it")
        sys.exit(SKIPPED)
    faults = check_in_browser(site, pages, pictures, chromium)
    if faults:
        fail(faults)
    print(f"site: {len(pages)} pages are as they should be; pictures in {pictures}")


main()
