"""Writes fnmatch.json: patterns, names, and whether Python's fnmatch.fnmatchcase says that they match.

A trailing "/" of a pattern means "/*" first, as in huggingface_hub's filter_repo_objects. Needs nothing but Python;
the seed is fixed, so running it again gives the same file unless Python changes its mind.
"""

import fnmatch
import json
import pathlib
import random
import warnings

random.seed(20261125)
warnings.simplefilter("ignore")

FIXED = [
    "", "*", "**", "?", "/", "a/", "data/", "*.bin", "**/*.bin", "*/.git", "**/.git/**", "[", "[a", "[]", "[]]", "[!]",
    "[!]]", "[!]a]", "[a-c]", "[c-a]", "[!c-a]", "[a-]", "[-a]", "[!-a]", "[--a]", "[a-c-e]", "[a--c]", "[^a]", "[!^a]",
    "[[]", "[[:alpha:]]", "[\\]", "\\*", "[a\\-c]", "[&&]", "[a||b]", "[~~a]", "[*]", "[?]", "[z-ab-c]", "[!z-ab-c]",
    "a*b*c*", "*a?c*", ".", ".*", "[.]", "(a|b)", "a+b", "$", "^a", "é*", "[à-ü]", "?é", "a\nb", "*\n*",
]
NAMES = [
    "", "a", "b", "c", "-", "^", "!", "]", "[", "\\", "a/b", "a/", "data/x", "data/x/y", "x.bin", "d/x.bin", ".git",
    "sub/.git", "sub/.git/config", "abc", "aXc", "&", "|", "~", "*", "?", ":", "é", "aé", "ü", "a\nb", ".hidden", "$", "(a|b)",
]
PATTERN_LETTERS = "ab-c/]*?[!^.\\&"
NAME_LETTERS = "abc-/]^!.[\\"


def text(letters, most):
    return "".join(random.choice(letters) for _ in range(random.randint(0, most)))


def a_set():
    return "[" + random.choice(["", "!", "^"]) + text("abcd-]!^&|", 6) + "]"


def pattern():
    return "".join(random.choice([text(PATTERN_LETTERS, 3), a_set(), "*", text("abc", 2)]) for _ in range(random.randint(1, 4)))


def matches(name, pattern):
    return fnmatch.fnmatchcase(name, pattern + "*" if pattern.endswith("/") else pattern)


patterns = list(dict.fromkeys(FIXED + [pattern() for _ in range(1500)]))
cases = []
for one in patterns:
    names = NAMES if one in FIXED else random.sample(NAMES, 3) + [text(NAME_LETTERS, 6) for _ in range(9)]
    cases.append([one, [[name, matches(name, one)] for name in names]])
out = pathlib.Path(__file__).with_name("fnmatch.json")
out.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
print(f"{len(cases)} patterns, {sum(matched for _, names in cases for _, matched in names)} matches")
