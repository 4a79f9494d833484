# SPDX-License-Identifier: GPL-2.0 OR MIT
"""What the suites have said, configuration by configuration: kept in out/results, and printed as a table.

A result is of the files that it was found with, except for the documentation that no suite reads. Those of other versions are
shown too, and said to be old.
"""

import json
import os
import subprocess

CONFIGURATIONS = ("host", "smp", "debug", "lockdep", "nopm", "tt", "arm64", "arm64-16k", "arm64-64k", "arm64-nopm", "x86-64")

# Of the documentation, what suites read.
READ = "Documentation/troubleshooting.rst"


def version(top):
    """The last commit that changed what results depend on; with `-dirty`, if that was changed since."""
    def git(*words):
        return subprocess.run(["git", "-C", str(top), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    paths = [".", *(f":!{path}" for path in git("ls-files", "README.md", "Documentation").stdout.split() if path != READ)]
    found = git("log", "-1", "--format=%h", "--abbrev=12", "--", *paths).stdout.strip()
    return found + ("-dirty" if git("diff", "--quiet", "HEAD", "--", *paths).returncode else "") if found else "unknown-dirty"


class Results:
    """The results in one checkout."""

    def __init__(self, top):
        self.directory = top / "out" / "results"
        self.version = version(top)

    def record(self, configuration, suite, count, seconds):
        """Keeps what a suite has said in a configuration."""
        self.directory.mkdir(parents=True, exist_ok=True)
        found = {"passed": count.passed, "failed": len(count.failures), "skipped": count.skipped,
                 "seconds": round(seconds), "version": self.version, "failures": count.failures}
        (self.directory / f"{configuration}.{suite}.json").write_text(json.dumps(found) + "\n")

    def stands(self, configuration, suite):
        """What a suite has said in a configuration, if nothing failed, and if a run of the same files is continued, or of a
        version that is named."""
        versions = os.environ.get("RESUME", "").split(",")
        path = self.directory / f"{configuration}.{suite}.json"
        # What was built may be another version's by now.
        if versions == [""] or self.version.endswith("-dirty") or suite == "build" or not path.exists():
            return None
        found = json.loads(path.read_text())
        return found if found["version"] in (self.version, *versions) and found["passed"] and not found["failed"] else None

    def table(self, order):
        """The lines of a table (reStructuredText) of suites, in this order and then others, by configurations."""
        found = {}
        for path in sorted(self.directory.glob("*.json")):
            configuration, suite = path.stem.split(".", 1)
            found.setdefault(suite, {})[configuration] = json.loads(path.read_text())
        suites = [name for name in order if name in found] + sorted(found.keys() - set(order))
        there = {name for results in found.values() for name in results}
        columns = [name for name in CONFIGURATIONS if name in there] + sorted(there - set(CONFIGURATIONS))
        old = set()

        def cell(result):
            if not result:
                return "\\-"
            text = str(result["passed"])
            if result["failed"]:
                text += f", {result['failed']} failed"
            if result["version"] != self.version:
                old.add(result["version"])
                text += " (old)"
            return text

        rows = [["suite", *columns]] + [[name, *(cell(found[name].get(column)) for column in columns)] for name in suites]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        rule = " ".join("=" * width for width in widths)
        lines = [" ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
        note = f"Checks that passed, of version {self.version}" + (f"; old: {', '.join(sorted(old))}" if old else "") + "."
        return [rule, lines[0], rule, *lines[1:], rule, "", note] if suites else ["There are no results yet."]
