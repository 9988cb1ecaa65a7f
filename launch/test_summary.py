#!/usr/bin/env python3
"""What ctest has found, for launch/test.sh: a line for each label, the reasons
of what was skipped, and the failures with their output.

usage: test_summary.py BUILD_FOLDER REPORT.xml FAILURES

BUILD_FOLDER holds the tests, REPORT.xml is what ctest wrote by --output-junit.
Lines go to standard error, failures to the end of the file FAILURES, and
"passed failed skipped" to standard output.
"""
import collections
import json
import re
import subprocess
import sys
import xml.etree.ElementTree

# What ctest writes of a test that ran and said that it skips.
SKIPPED = ("SKIP_REGULAR_EXPRESSION_MATCHED", "SKIP_RETURN_CODE")
OUTPUT_LINES = 100

Case = collections.namedtuple("Case", "name label result seconds output")


def labels_of(build_folder):
    """The first label of each test; of a test without one, its name."""
    listed = subprocess.run(
        ["ctest", "--test-dir", build_folder, "--show-only=json-v1"],
        capture_output=True, text=True, check=True).stdout
    labels = {}
    for test in json.loads(listed[listed.index("{"):])["tests"]:
        properties = {property["name"]: property["value"]
                      for property in test.get("properties", [])}
        labels[test["name"]] = properties.get("LABELS", [test["name"]])[0]
    return labels


def result_of(case):
    """A test that could not start is in the report as one that was skipped."""
    if case.get("status") == "disabled":
        return "skipped"
    skipped = case.find("skipped")
    if skipped is not None:
        own = skipped.get("message", "").startswith(SKIPPED)
        return "skipped" if own else "failed"
    return "failed" if case.find("failure") is not None else "passed"


def reason_of(output):
    """Why a test skipped: GoogleTest's message, or a script's line."""
    for pattern in (r": Skipped\n(.+)", r"(?m)^skipped: (.+)", r"(Disabled)"):
        found = re.search(pattern, output)
        if found:
            return found.group(1).strip()
    return "no reason given"


def read_report(path, labels):
    cases = []
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        cases.append(Case(name, labels.get(name, name), result_of(case),
                          float(case.get("time", "0")),
                          case.findtext("system-out") or ""))
    return cases


def print_labels(cases):
    for label in sorted({case.label for case in cases}):
        own = [case for case in cases if case.label == label]
        counts = collections.Counter(case.result for case in own)
        print("%-32s %6d %7d %8d %8.1f" % (
            label, counts["passed"], counts["failed"], counts["skipped"],
            sum(case.seconds for case in own)), file=sys.stderr)


def print_skips(cases):
    reasons = collections.defaultdict(list)
    for case in cases:
        if case.result == "skipped":
            reasons[reason_of(case.output)].append(case.name)
    for reason, names in sorted(reasons.items()):
        more = " and %d more" % (len(names) - 1) if len(names) > 1 else ""
        print("skipped: %s: %s%s" % (reason, names[0], more), file=sys.stderr)


def append_failures(cases, path):
    with open(path, "a") as file:
        for case in cases:
            if case.result == "failed":
                lines = case.output.splitlines()[-OUTPUT_LINES:]
                file.write("\n--- %s: %s\n%s\n" % (case.label, case.name,
                                                   "\n".join(lines)))


def main():
    build_folder, report, failures = sys.argv[1:]
    cases = read_report(report, labels_of(build_folder))
    print_labels(cases)
    print_skips(cases)
    append_failures(cases, failures)
    counts = collections.Counter(case.result for case in cases)
    print(counts["passed"], counts["failed"], counts["skipped"])


if __name__ == "__main__":
    main()
