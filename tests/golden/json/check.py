#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates JSON lines against a schema: check.py SCHEMA FILE...

Every line must be one object that satisfies the schema. Then each object is broken in every way the schema forbids
(a required field gone, a field nobody knows, a value of the wrong type), and each broken one must fail: a schema that
accepts everything proves nothing. Exit 0: all as it should be, 1: not, 77: python3-jsonschema is not installed.
"""
import copy
import json
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)


def refuse_constant(word):
    raise ValueError(f"{word} is not JSON")


def load(line):
    pairs = lambda items: dict(items) if len({k for k, _ in items}) == len(items) else refuse_constant("a key twice")
    return json.loads(line, parse_constant=refuse_constant, object_pairs_hook=pairs)


def resolve(schema, root):
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def variants(value, schema, root):
    """Broken copies of the value, each with the reason why it is broken."""
    schema = resolve(schema, root)
    if isinstance(value, dict):
        for key in schema.get("required", []):
            yield {k: v for k, v in value.items() if k != key}, f"without {key}"
        if schema.get("additionalProperties") is False:
            yield {**value, "surprise": 1}, "with a field that nobody knows"
        for key, inner in value.items():
            known = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            for broken, why in variants(inner, known, root) if isinstance(known, dict) else ():
                yield {**value, key: broken}, f"{key}: {why}"
    elif isinstance(value, list):
        yield {}, "an object instead of a list"
        for broken, why in variants(value[0], schema["items"], root) if value else ():
            yield [broken] + value[1:], f"[0]: {why}"
    elif isinstance(value, bool):
        yield int(value), "a number instead of a truth value"
    elif isinstance(value, int):
        if "oneOf" not in schema:
            yield str(value), "a string instead of a number"
        if "number" not in schema.get("type", ()):
            yield 0.5, "a fraction"
            yield -1000, "less than there can be"
            yield 2**64, "more than 64 bits"
    elif isinstance(value, str):
        yield ["x"], "a list instead of a string"
        if schema.keys() & {"const", "enum", "pattern"}:
            yield value + " x", "another word"


def check_file(path, validator, root):
    bad = broken_count = 0
    types = set()
    with open(path, encoding="utf-8", errors="strict", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            value = load(line)
            types.add(value["type"])
            error = next(iter(validator(root).iter_errors(value)), None)
            if error:
                bad += 1
                print(f"{path}:{number}: {error.message[:300]}")
            branch = root["$defs"].get(value["type"], {})
            for broken, why in variants(copy.deepcopy(value), branch, root):
                broken_count += 1
                if validator(root).is_valid(broken):
                    bad += 1
                    print(f"{path}:{number}: the schema accepts a line of type {value['type']} {why}")
    print(f"{path}: {len(types)} types, {broken_count} broken variants refused" if not bad else f"{path}: {bad} errors")
    return bad


def main(schema_path, *paths):
    with open(schema_path, encoding="utf-8") as file:
        root = json.load(file)
    validator = jsonschema.validators.validator_for(root)
    validator.check_schema(root)
    return 1 if sum(check_file(path, validator, root) for path in paths) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
