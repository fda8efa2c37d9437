#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks files for speedscope.app: check.py FILE...

The structure that its file format requires, written down here by hand, and what a schema cannot say: that frames which are
referred to exist, that samples and weights are as many, and that the values add up. Exit 0: all as it should be, 1: not,
77: python3-jsonschema is not installed.
"""
import json
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

UNITS = ["bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"]
FRAME = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "file": {"type": "string"}, "line": {"type": "integer", "minimum": 1}},
    "required": ["name"],
    "additionalProperties": False,
}
PROFILE = {
    "type": "object",
    "properties": {
        "type": {"const": "sampled"},
        "name": {"type": "string"},
        "unit": {"enum": UNITS},
        "startValue": {"type": "number"},
        "endValue": {"type": "number"},
        "samples": {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}}},
        "weights": {"type": "array", "items": {"type": "number", "minimum": 0}},
    },
    "required": ["type", "name", "unit", "startValue", "endValue", "samples", "weights"],
    "additionalProperties": False,
}
FILE = {
    "type": "object",
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "shared": {
            "type": "object",
            "properties": {"frames": {"type": "array", "items": FRAME}},
            "required": ["frames"],
            "additionalProperties": False,
        },
        "profiles": {"type": "array", "items": PROFILE, "minItems": 1},
        "name": {"type": "string"},
        "activeProfileIndex": {"type": "integer", "minimum": 0},
        "exporter": {"type": "string"},
    },
    "required": ["$schema", "shared", "profiles"],
    "additionalProperties": False,
}


def problems(value):
    yield from (error.message[:200] for error in jsonschema.Draft7Validator(FILE).iter_errors(value))
    frames = len(value["shared"]["frames"])
    if value.get("activeProfileIndex", 0) >= len(value["profiles"]):
        yield "activeProfileIndex: there is no such profile"
    for profile in value["profiles"]:
        name = profile["name"]
        if len(profile["samples"]) != len(profile["weights"]):
            yield f"{name}: samples and weights differ in number"
        if any(index >= frames for stack in profile["samples"] for index in stack):
            yield f"{name}: a sample refers to a frame that is not there"
        if sum(profile["weights"]) != profile["endValue"] - profile["startValue"]:
            yield f"{name}: the weights do not add up"


def main(*paths):
    bad = 0
    for path in paths:
        with open(path, encoding="utf-8", errors="strict") as file:
            for problem in problems(json.load(file)):
                bad += 1
                print(f"{path}: {problem}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
