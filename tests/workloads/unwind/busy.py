# SPDX-License-Identifier: Apache-2.0
"""busy.py SECONDS: recursion, sorting with a callback, regular expressions, JSON, compression and hashing, in turns."""
import hashlib
import json
import os
import re
import sys
import time
import zlib

TEXT = "the quick brown fox jumps over the lazy dog " * 40


def recurse(n):
    return n if n < 2 else recurse(n - 1) + recurse(n - 2)


def inner(n):
    numbers = sorted((i * 7919 * n % 1009 for i in range(300)), key=lambda x: -x)
    return len(json.dumps(json.loads(json.dumps(numbers)))) + recurse(10)


def middle(n):
    words = re.sub(r"[aeiou]+", lambda m: m.group().upper(), TEXT)
    return inner(n) + len(zlib.compress(words.encode())) + hashlib.sha256(TEXT.encode()).digest()[0]


def main():
    end = time.monotonic() + float(sys.argv[1])
    print("ready", os.getpid(), flush=True)
    total = 0
    while time.monotonic() < end:
        total += middle(total % 17)


main()
