"""Text from outside is text: on a terminal, in JSON, CSV, Markdown, a plot and a real browser."""

import ast
import io
import json
import unicodedata
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from playwright.sync_api import Browser
from rich.table import Table
from rich.text import Text

import gr00t_assets.cli
from gr00t_assets.cli.output import TextConsole, console, echo, plain_table, print_json
from gr00t_assets.comparison.tables.runs_table import export_table, read_table
from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.text import figure_png, from_spreadsheet, printable, spreadsheet_cell
from gr00t_assets.core.yaml_files import load_yaml
from gr00t_assets.defs.metadata import bullets, folded_table, verbatim
from gr00t_assets.reporting.html import render_page
from gr00t_assets.reporting.research_journal import commands, journal_text, read_notes
from gr00t_assets_tests.reporting.report_runs import compared, finished_run
from gr00t_assets_tests.reporting.test_html import browser  # noqa: F401

PARTS = (
    "\x1b[31mred", "\x1b]8;;http://evil\x07link", "\x9b2J", "\r", "\a", "\b", "\0", "\u202e",
    "\u2066", "\u2069", "\ud800", "\udfff", "\u2028", "[red]", "[/]", "[link=http://evil]x[/link]",
    ":smile:",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "|", "`", "```", "**b**", "_i_",
    "~~s~~", "[x](javascript:alert(1))", "![x](javascript:y)", "# h", "- l", "1. l", "> q", "---",
    "&lt;", "&#123;", "%{x}", "$\\frac{", "$x^$", "=1+1", "+1", "-1", "@SUM(A1)", "\t=x", "\r=x",
    "'=x", "a_b", "\\", "pick", " ", "\n", '"', "é", "🤖", "名",
)  # fmt: skip
hostile = st.one_of(st.lists(st.sampled_from(PARTS), max_size=6).map("".join), st.text(max_size=40))
DANGEROUS = ("Cc", "Cs", "Zl", "Zp")
STRIPPED = dict.fromkeys(map(ord, "\a\b\v\f\r"))
"""What rich itself takes out of a styled text."""

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_harmless(text: str) -> bool:
    """Nothing in it moves a cursor, changes the direction of writing, or is no Unicode."""
    return not any(
        (unicodedata.category(character) in DANGEROUS and character not in "\n\t")
        or character in BIDI
        for character in text
    )


def printed(show) -> str:
    """What a console for a terminal wrote, without the codes of rich itself."""
    out = TextConsole(file=io.StringIO(), width=2_000, force_terminal=True, color_system=None)
    show(out)
    return out.file.getvalue()  # type: ignore[attr-defined]


@settings(max_examples=300, deadline=None)
@given(hostile)
@example("[red]x[/red]\x1b[2J\r\ud800\u202e")
def test_a_terminal_shows_every_text_as_text(text: str) -> None:
    def in_table(out: TextConsole) -> None:
        rows: Table = plain_table("heading", text)
        rows.add_row(text, "end")
        out.print(rows)

    ways = {
        "print": lambda out: out.print(text, soft_wrap=True),
        "styled": lambda out: out.print(Text(text, style="bold"), soft_wrap=True),
        "table": in_table,
    }
    for name, show in ways.items():
        shown = printed(show)
        assert is_harmless(shown), (name, shown)
        shown.encode()
        whole = printable(text.translate(STRIPPED) if name == "styled" else text)
        assert all(word in shown for word in whole.split()), (name, text)
    error = DatasetError(text, text, [text])
    for said in (error.explain(), str(error), error.subject):
        assert is_harmless(said)
        said.encode()


@settings(max_examples=200, deadline=None)
@given(hostile)
def test_echo_and_json_are_harmless_and_json_is_what_it_was(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
        patch.setattr("sys.stdout", stream)
        echo(text)
        print_json({"text": [text], text: 1})
        console().print(text)
        stream.flush()
        said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert is_harmless(said)
    begin = said.index('{\n  "text"')
    value, _ = json.JSONDecoder().raw_decode(said[begin:])
    # Two halves side by side are one character, to JSON as to UTF-16.
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert value["text"] == [joined]


@settings(max_examples=300, deadline=None)
@given(hostile)
@example("'=1")
@example("-0.5")
@example("-0.5\n")
def test_a_cell_is_no_formula_and_is_read_back(text: str) -> None:
    cell = spreadsheet_cell(text)
    assert from_spreadsheet(cell) == text
    try:
        float(cell)
    except ValueError:
        assert cell[:1] not in tuple("=+-@\t\r\n") or cell.startswith(("-inf", "+inf")), cell


NOTES = ("=cmd|' /C calc'!A0", "'=x", "@SUM(A1)", "+1", "-", "\ttab", "=a\rb", "-0.5 is best")


def test_a_table_is_exported_without_formulas_and_read_back(tmp_path: Path) -> None:
    runs = [
        replace(finished_run("a", seed=n), run_id=f"r{n}", name=f"={n}", source="table", note=note,
                hypothesis=note[::-1])
        for n, note in enumerate(NOTES)
    ]  # fmt: skip
    file = export_table(runs, tmp_path / "runs.csv")
    cells = file.read_bytes().decode().replace('"', "").replace("\n", ",").split(",")
    assert [cell for cell in cells if cell[:1] in tuple("=+@\t")] == ["+1"], "a plain number"
    read = {run.run_id: run for run in read_table(file)}
    for run in runs:
        again = read[run.run_id]
        assert (again.name, again.note) == (run.name, run.note)
        assert again.hypothesis == run.hypothesis.strip()


def shown_by_markdown(text: str) -> str:
    """The text of rendered Markdown, with GitHub's tables; raw HTML and links are kept visible."""
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    for tag in ("p", "li", "ul", "td", "tr", "th", "thead", "tbody", "table"):
        html = html.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
    assert "<" not in html, html
    return " ".join(unescape(html).split())


@settings(max_examples=400, deadline=None)
@given(hostile)
@example("[x](javascript:alert(1))|<script>")
@example("--- ---")
def test_markdown_shows_every_text_as_text(text: str) -> None:
    plain = " ".join(printable(" ".join(text.split())).split())
    assert shown_by_markdown(bullets([text]).md_str or "") == plain
    rendered = shown_by_markdown(str(folded_table(["head"], [[text]]).value))
    assert rendered == f"head {plain}".strip()
    fenced = verbatim([text, "end"]).md_str or ""
    assert is_harmless(fenced) and fenced.count("```") == 2


def test_the_journal_has_names_hypotheses_and_notes_as_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>|[x](javascript:y)\x1b[2J\ud800"
    config = {**finished_run("x").data, "data config": "a; rm -rf ~ `b`\n```\n# c"}
    odd = replace(
        finished_run(name, hypothesis=name), source="wandb", note=name, sweep=name, data=config
    )
    notes = tmp_path / "notes"
    notes.mkdir()
    Path(notes, "\udcff\x1b[31m.md").write_text("It \x1b[2J trembles.")
    written = journal_text(
        [compared(odd, finished_run("b"))], {name: [name]}, read_notes(notes, [])
    )
    written.encode()
    assert is_harmless(written)
    html = MarkdownIt("commonmark").enable("table").render(written)
    assert "<script" not in html and 'href="javascript' not in html
    assert "\n# c" not in written
    assert any("data-config 'a; rm -rf ~ `b`" in line for line in commands(odd))


def test_the_page_shows_a_hostile_name_in_a_browser(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    name = "<b>bold</b>%{x}<img src=x onerror=document.title='owned'>\u202e[red]=1+1"
    runs = [replace(finished_run(name, 0.05), name=name), finished_run("other", 0.1, seed=2)]
    file = tmp_path / "report.html"
    file.write_text(render_page([compared(*runs)], [], []))
    page = browser.new_context(offline=True).new_page()
    page.set_default_timeout(60_000)
    page.goto(file.as_uri())
    assert name in page.locator("table.ranked .name").all_inner_texts()[0]
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    plot.locator(".legendtext").first.wait_for()
    legend = " ".join(plot.locator(".legendtext").all_text_contents())
    assert "<b>bold</b>%{x}<img src=x" in legend
    assert page.locator("img[src='x']").count() == 0 and page.title() != "owned"


def test_a_plot_takes_dollar_signs_for_no_formula() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.set_title("$\\frac{ and $x^$ \x1b[31m")
    axes.plot([1, 2], label="$y_")
    axes.legend()
    assert figure_png(figure).startswith(b"\x89PNG")


def test_half_a_surrogate_pair_in_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text('name: x\ntext: "\\ud800"\n')
    with pytest.raises(DatasetError, match=r"sweep\.yaml:2"):
        load_yaml(file, DatasetError)


def test_commands_print_through_the_one_place_that_escapes() -> None:
    """No command has a console of rich, or prints, by itself."""
    wrong = []
    for path in sorted(Path(gr00t_assets.cli.__path__[0]).glob("*.py")):
        if path.name == "output.py":
            continue
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        names = {ast.unparse(call.func) for call in calls}
        wrong += [f"{path.name}: {name}" for name in names & {"print", "Console", "typer.secho"}]
        echoed = [call.args[0] for call in calls if ast.unparse(call.func) == "typer.echo"]
        wrong += [
            f"{path.name}: typer.echo" for text in echoed if "__version__" not in ast.unparse(text)
        ]
    assert not wrong, f"use cli/output.py: {wrong}"


def test_a_finding_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    from gr00t_assets.cli.output import print_findings
    from gr00t_assets.core.finding import Findings

    text = "[red]\x1b[2J\r\u202e\ud800"
    finding = Finding(severity="error", code="x", subject=text, found=text, remedy=text)
    print_findings(Findings([finding]), text)
    said = capsys.readouterr().out
    assert is_harmless(said) and "[red]\\x1b[2J\\u202e\\ud800" in said
