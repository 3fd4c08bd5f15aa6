"""Reports of records: golden texts, and what no text of a user's may do to them."""

from __future__ import annotations

import json

import evidence_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgepack.gate import judge, selection
from edgepack.records.dataset import Lint
from edgepack.records.evidence import OutputHealth, Skipped
from edgepack.records.facts import Repair
from edgepack.records.manifest import DatasetEntry, SourceEntry, ToolVersions
from edgepack.records.profile import OpProfile
from edgepack.records.report import BuildResult, BundleRef, Report
from edgepack.records.search import CurvePoint, Goal, LayerSensitivity
from edgepack.records.settings import BaselineBudget, Budget
from edgepack.report import figures, markdown, markup, rows, search, terminal, trials
from edgepack.report import json as report_json

UNTIMED = OpProfile(
    runtime="ai-edge-litert 2.9.0",
    threads=1,
    reason="the profiler of ai-edge-litert 2.9.0 is not known, only those of 2.3",
)
CURVE = tuple(CurvePoint(samples=n, harm=0.4 - n / 1000, error=4 / n) for n in (5, 50))
TARGETS = (samples.target(runtimes=("tflite-runtime==2.14.0",)),)


def report_of(evidence, settings, *, strict=False, bundle=True, **changes):
    files = samples.files(evidence, signatures=(samples.signature(),))
    verdict = judge(evidence, settings, TARGETS, files, strict=strict)
    reference = BundleRef(path="digits-1.1.0.zip", sha256="56" * 32, size_bytes=412_345)
    given = Report(
        name="digits",
        version="1.1.0",
        bundle=reference if bundle else None,
        source=SourceEntry(
            digest="ab" * 32,
            size_bytes=310_000,
            tags=("serve",),
            signature="serving_default",
            tensorflow_version="2.3.0",
            tensorflow_git_version="v2.3.0-rc2",
            keras_version="",
            fingerprint={},
            repairs=(Repair(what="slot variables cleared", why="TensorFlow cannot load them"),),
            accuracy=evidence.source.accuracy,
        ),
        dataset=DatasetEntry(
            name="digits",
            digest="cd" * 32,
            seed=0,
            samples={"calibrate": 200, "tune": 0, "evaluate": 1000},
            skipped=0,
        ),
        lints=(),
        evidence=evidence,
        targets=selection(TARGETS, evidence, files, verdict),
        verdict=verdict,
        tools=ToolVersions(
            edgepack="0.1.0",
            python="3.11.9",
            tensorflow="2.21.0",
            tensorflow_git_version="v2.21.0",
            quantizer="litert-quantizer 0.11.0",
            runtime="ai-edge-litert 2.3.0",
        ),
    )
    return given.model_copy(update=changes)


def passing():
    same = "dynamic changes nothing in this model: it is a float32 file"
    dynamic = samples.float32(note=same).model_copy(update={"variant": "dynamic"})
    evidence = samples.evidence(
        samples.float32(),
        samples.variant("float16", 120_000, profile=UNTIMED),
        dynamic,
        samples.variant(profile=samples.profile(), **samples.on_devices()),
    )
    source = evidence.source.model_copy(update={"latency": samples.latency(1.3)})
    evidence = evidence.model_copy(update={"source": source})
    budget = Budget(max_accuracy_drop=0.01, min_agreement=0.98, max_latency_ratio=1.5)
    return report_of(evidence, samples.settings(budget, "float32", "float16", "dynamic", "int8"))


def failing():
    """Every kind of trouble at once."""
    broken = samples.variant(
        "float16",
        120_000,
        accuracy=samples.accuracy(40, 2, health=(OutputHealth(output="scores", non_finite=7),)),
    )
    close = samples.variant(accuracy=samples.accuracy(8, 0), latency=samples.latency(0.2, 1.49))
    evidence = samples.evidence(
        broken,
        close,
        source=samples.source(0.12, 60, diagnosis="values of 0..255 where the spec makes 0..1"),
        skipped=(Skipped(variant="dynamic", stage="invoke", reason="the interpreter <died>"),),
        baseline=(
            samples.baseline(size_bytes=50_000, drops=samples.accuracy(7, 1).drops),
            samples.baseline(
                variant="float16", signature_changes=("input image: dtype float32 became int8",)
            ),
        ),
    )
    budget = Budget(max_accuracy_drop=0.01, min_accuracy=0.93, max_latency_ratio=1.5)
    settings = samples.settings(
        budget.model_copy(update={"max_size_bytes": 59_000}),
        *("float16", "dynamic", "int8"),
        model={"expected_accuracy": 0.95},
        budgets={"baseline": BaselineBudget(max_latency_ratio=1.02)},
    )
    lint = Lint(level="warning", code="few-samples", message="60 samples show little")
    return report_of(evidence, settings, strict=True, bundle=False, lints=(lint,))


def unlabelled():
    boxes = samples.AGREEMENT.model_copy(update={"output": "boxes", "top1": None})
    one = samples.variant(accuracy=samples.unlabelled(samples.AGREEMENT, boxes), latency=None)
    evidence = samples.evidence(
        one.model_copy(update={"memory": None}), source=samples.source(None), machine=None
    )
    return report_of(evidence, samples.settings(Budget(min_agreement=0.98)))


def searched():
    """A search for `auto`, with all that it found out."""
    auto = samples.variant("mixed", 174_000).model_copy(update={"variant": "auto"})
    evidence = samples.evidence(samples.float32(), auto, samples.variant())
    budget = Budget(max_accuracy_drop=0.01)
    settings = samples.settings(budget, "float32", "auto", "int8")
    return report_of(evidence, settings, findings=samples.findings())


REPORTS = {
    "passing": passing,
    "failing": failing,
    "unlabelled": unlabelled,
    "searched": searched,
}
each = pytest.mark.parametrize("name", REPORTS)


def text_of(renderable, width=120):
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def result_of(report, directory="dist"):
    bundle = f"{directory}/{report.bundle.path}" if report.bundle else None
    return BuildResult(
        passed=report.verdict.passed,
        bundle=bundle,
        report=report,
        report_json=f"{directory}/report.json",
        report_markdown=f"{directory}/report.md",
    )


@each
def test_markdown(name, golden):
    golden(f"report/{name}.md", markdown.render(REPORTS[name]()))


@each
def test_json(name, golden):
    golden(f"report/{name}.json", report_json.render(REPORTS[name]()))


@each
def test_terminal(name, golden):
    report = REPORTS[name]()
    text = f"{text_of(terminal.render(report))}\n{terminal.summary(result_of(report))}\n"
    golden(f"report/{name}.txt", text)


@each
def test_json_reads_back_as_the_same_record(name):
    report = REPORTS[name]()
    assert Report.model_validate_json(report_json.render(report)) == report


def test_the_samples_pass_and_fail_as_their_names_say():
    assert passing().verdict.passed
    assert unlabelled().verdict.passed
    assert {c.outcome for c in failing().verdict.checks} == {"pass", "fail", "inconclusive"}


@each
def test_every_table_of_markdown_is_rectangular(name):
    tables = [
        block.splitlines()
        for block in markdown.render(REPORTS[name]()).split("\n\n")
        if block.startswith("|")
    ]
    assert tables
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("two\nlines", "two lines"),
        ("@someone", "@\u200bsomeone"),
        ("see #12", "see #\u200b12"),
        ("# x - y", r"\# x - y"),
        ("[x](y)", r"\[x\](y)"),
        ("int8_a*b", r"int8\_a\*b"),
        ("`code`", r"\`code\`"),
        ("https://x.y", "https:\u200b//x.y"),
        ("\x1b[31mred", r"\[31mred"),
    ],
)
def test_text_of_users_stays_text(text, shown):
    assert markup.escape(text) == shown


@given(st.text())
def test_escaped_text_opens_no_markup(text):
    escaped = markup.escape(text)
    assert "\n" not in escaped
    assert "<" not in escaped
    assert ">" not in escaped
    bare = escaped.replace("\\\\", "")
    for sign in "`*_[]|":
        assert bare.count(sign) == bare.count(f"\\{sign}")


def test_a_hostile_name_stays_in_its_line_everywhere():
    report = passing().model_copy(update={"name": "x\x1b[2J\n| [bold]y[/bold] @team"})
    assert "\x1b" not in terminal.summary(result_of(report)) + text_of(terminal.render(report))
    assert "[bold]y[/bold]" in text_of(terminal.render(report))
    assert "\x1b" not in markdown.render(report)
    assert markdown.render(report).splitlines()[0].startswith(r"## x \[2J \| \[bold\]")
    assert json.loads(report_json.render(report))["name"] == report.name


def test_summary_says_where_things_are_and_what_to_run_next():
    text = terminal.summary(result_of(passing(), "out put"))
    assert "edgepack verify 'out put/digits-1.1.0.zip'" in text
    assert "out put/report.md" in text
    assert "Host latency is not device latency" in text_of(terminal.render(passing()))


def test_summary_names_the_log_of_a_search():
    result = result_of(searched()).model_copy(update={"search_json": "dist/search.json"})
    assert "dist/search.json" in terminal.summary(result)
    assert "search.json" not in terminal.summary(result_of(searched()))


def test_summary_of_a_refusal_says_why_and_that_the_bundle_is_withheld():
    report = failing()
    text = terminal.summary(result_of(report))
    assert "withheld" in text
    assert report.evidence.source.diagnosis in text
    assert "edgepack verify" not in text


def test_summary_of_a_bundle_shipped_in_spite_says_so():
    report = failing().model_copy(update={"bundle": passing().bundle})
    assert "marked as failed" in terminal.summary(result_of(report))


def test_rounding_hides_no_failure():
    one = samples.variant(latency=samples.latency(0.2, 1.5004, 0))
    evidence = samples.evidence(one)
    report = report_of(evidence, samples.settings(Budget(max_latency_ratio=1.5)))
    assert "1.5004 as long as float32, and 1.5 is allowed" in markdown.render(report)


@each
def test_terminal_of_80_columns_cuts_nothing_off(name):
    text = text_of(terminal.render(REPORTS[name]()), width=80)
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_sensitivity_of_80_columns(golden):
    found = samples.sensitivity(curve=CURVE)
    text = text_of(search.sensitivity_table(found), width=80)
    golden("report/sensitivity.txt", text)
    assert max(map(len, text.splitlines())) <= 80
    folded = "".join(text.split())
    assert all(one.group in folded for one in found.layers)
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_sensitivity_of_a_model_nothing_is_known_of():
    bare = tuple(LayerSensitivity(group=g.name, ops=(), tensor="") for g in samples.GROUPS)
    text = text_of(
        search.sensitivity_table(samples.sensitivity(layers=bare, harm=None, error=None))
    )
    assert "-" in next(line for line in text.splitlines() if line.startswith("stem"))


def test_long_and_hostile_groups_stay_in_their_cells():
    name = "x" * 120 + "\x1b[2J|[red]"
    layers = (samples.layers()[0].model_copy(update={"group": name, "tensor": name}),)
    found = samples.findings(sensitivity=layers)
    report = passing().model_copy(update={"findings": found})
    text = text_of(terminal.render(report), width=80)
    assert "\x1b" not in text + markdown.render(report)
    assert max(map(len, text.splitlines())) <= 80
    assert r"\|\[red\]" in markdown.render(report)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stopped": "time"}, "its time was up"),
        ({"stopped": "interrupted"}, "it was interrupted"),
        ({"chosen": 5, "met": False}, "over the goal"),
        ({"chosen": 3}, "Chosen: trial 3, dynamic"),
        ({"goal": Goal(max_harm=0.1, measure="drop", metric="mae")}, "a drop of at most 0.100"),
        ({"goal": Goal(max_harm=0.1, measure="drop", objective="size")}, "the smallest file"),
    ],
)
def test_summary_of_a_search(changes, said):
    assert said in " ".join(trials.summary(samples.search(**changes)))


def test_failed_trials_alike_are_one_row():
    assert [numbers for numbers, _ in trials.failed_rows(samples.search())] == ["10, 15", "16"]
    assert max(len(reason) for _, reason in trials.failed_rows(samples.search())) <= 160


def test_kept_groups_are_named_with_what_they_do_alone():
    (said,) = (line for line in trials.summary(samples.search()) if "stay" in line)
    assert said == "In float16 stay log_energy (99.8 % of the error, 38.0 pt alone)."


def test_picking_is_offered_only_where_there_is_another_point():
    only = samples.findings(search=samples.search(front=(14,)))
    one = searched().model_copy(update={"findings": only})
    assert "--pick" in markdown.render(searched())
    assert "--pick" not in markdown.render(one) + text_of(terminal.render(one))


def test_report_of_nothing_built_still_renders():
    evidence = samples.evidence().model_copy(update={"variants": ()})
    report = report_of(evidence, samples.settings(), bundle=False)
    assert "no variant was built" in markdown.render(report)
    assert "no variant was built" in text_of(terminal.render(report))
    assert "0 models" in terminal.summary(result_of(report))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.08123, "0.0812"),
        (3.7, "3.70"),
        (12.34, "12.3"),
        (1340.2, "1340"),
        (-0.5, "-0.500"),
        (0.0000034, "0.00000340"),
        (1.45e-9, "1.4e-09"),
        (-1e-16, "-1.0e-16"),
    ],
)
def test_significant_digits(value, text):
    assert figures.significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(812, "812 B"), (98_123, "98.1 kB"), (1_250_000, "1.25 MB"), (0, "0 B")]
)
def test_sizes(value, text):
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.26, "-74 %"), (1.03, "+3 %"), (1.001, "same"), (0.9999, "same")]
)
def test_changes(value, text):
    assert figures.change(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("top-1", 0.002, "0.2 pt"), ("top-1", -0.0001, "0.0 pt"), ("mae", 0.0123, "0.0123")],
)
def test_points(name, value, text):
    assert figures.points(name, value) == text


def test_size_is_compared_with_float32_where_there_is_one():
    assert rows.size(samples.variant(), 230_000) == "60.0 kB (-74 %)"
    assert rows.size(samples.variant(), None) == "60.0 kB"
