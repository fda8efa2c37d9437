#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what sonde wrote: check.py KIND FILE...

json    every line is one object that satisfies `sonde schema` (environment SCHEMA: the file), keys are not repeated
folded  frames separated by `;`, one space, a whole number; no frame is empty
table   text
terminal  what a terminal got: with carriage returns
svg     well-formed XML without scripts other than its own, nothing external
html    one page: nothing external, no element that is not sonde's own

All of them: UTF-8, no control character but the newline (svg, html: and the tab).
"""
import html.parser
import json
import os
import re
import sys
import unicodedata
import xml.etree.ElementTree

SVG = "{http://www.w3.org/2000/svg}"
PAGE_TAGS = set("html head meta title style body header main footer section nav div span p h1 h2 h3 a b i em strong small br hr pre code "
                "label input button select option details summary table thead tbody tr th td ul ol li script template svg g rect text "
                "path title canvas noscript dl dt dd kbd".split())


class Bad(Exception):
    pass


def text_of(path, allowed="\n"):
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "strict")
    for number, line in enumerate(text.split("\n"), 1):
        for char in line:
            if unicodedata.category(char) in ("Cc", "Cs") and char not in allowed:
                raise Bad(f"line {number}: control character {char!r}: {line[:200]!r}")
    return text


def unique_pairs(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise Bad(f"a key twice: {pairs}")
    return dict(pairs)


def refuse(word):
    raise Bad(f"{word} is not JSON")


def check_json(path):
    import jsonschema
    with open(os.environ["SCHEMA"], encoding="utf-8") as file:
        schema = json.load(file)
    branches = {name: {"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]} for name in
                (row["$ref"].rsplit("/", 1)[1] for row in schema["oneOf"])}
    make = jsonschema.validators.validator_for(schema)
    validators = {name: make(branch) for name, branch in branches.items()}
    lines = text_of(path).splitlines()
    if not lines:
        raise Bad("no lines")
    for number, line in enumerate(lines, 1):
        value = json.loads(line, parse_constant=refuse, object_pairs_hook=unique_pairs)
        if value.get("type") not in validators:
            raise Bad(f"line {number}: no such type: {value.get('type')!r}")
        for error in validators[value["type"]].iter_errors(value):
            raise Bad(f"line {number}: {error.json_path}: {error.message[:300]}")
    return f"{len(lines)} lines"


def check_folded(path):
    lines = text_of(path).splitlines()
    for number, line in enumerate(lines, 1):
        found = re.fullmatch(r"(\S(?:.*\S)?) ([0-9]+)", line)
        if not found or not all(frame.strip() for frame in found[1].split(";")):
            raise Bad(f"line {number}: {line[:300]!r}")
    if not lines:
        raise Bad("no lines")
    return f"{len(lines)} stacks"


def check_terminal(path):
    return f"{len(text_of(path, chr(13)).splitlines())} lines"


def check_table(path):
    return f"{len(text_of(path).splitlines())} lines"


def check_svg(path):
    text = text_of(path, "\n\t")
    root = xml.etree.ElementTree.fromstring(text)
    if root.tag != SVG + "svg":
        raise Bad(f"the root is {root.tag}")
    elements = list(root.iter())
    scripts = [element for element in elements if element.tag == SVG + "script"]
    if len(scripts) > 1:
        raise Bad(f"{len(scripts)} scripts")
    for element in elements:
        for key, value in element.attrib.items():
            if key.rsplit("}")[-1] in ("href", "src") and not value.startswith(("#", "data:")):
                raise Bad(f"external: {key}={value}")
    boxes = sum(element.tag == SVG + "rect" for element in elements)
    if boxes < 2:
        raise Bad(f"{boxes} boxes")
    return f"{boxes} boxes"


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in PAGE_TAGS:
            raise Bad(f"line {self.getpos()[0]}: <{tag}>")
        for key, value in attrs:
            if key in ("src", "href") and not (value or "").startswith(("#", "data:")):
                raise Bad(f"external: {key}={value}")


def check_html(path):
    page = Page()
    page.feed(text_of(path, "\n\t"))
    if page.tags.count("html") != 1 or page.tags.count("body") != 1:
        raise Bad("no page")
    return f"{len(page.tags)} elements, {page.tags.count('script')} scripts"


def main(kind, *paths):
    checks = {"json": check_json, "folded": check_folded, "table": check_table, "terminal": check_terminal, "svg": check_svg, "html": check_html}
    status = 0
    for path in paths:
        try:
            print(f"{path}: {checks[kind](path)}")
        except (Bad, ValueError, xml.etree.ElementTree.ParseError) as error:
            print(f"{path}: {error}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
